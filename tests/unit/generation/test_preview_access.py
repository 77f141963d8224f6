"""Who may generate another user's collection, and what they are shown of it."""

from uuid import UUID

import msgspec
import pytest

from services.generation.consumers import adoption
from services.generation.domain.collection_source import CollectionSource, Revise
from services.generation.domain.generation.reproduction import reproduction
from services.generation.domain.job import Job, decide
from services.generation.domain.planning.job_plan import JobRequest
from services.generation.domain.preview_access import (
    input_of_visitor,
    payer_of,
    preview_terms,
    refuse_other_payer,
    request_of_visitor,
    without_instructions,
)
from services.generation.processes.start_generations import Round, open_job
from shared.contracts.collections import CollectionPublished, PreviewConfigured
from shared.contracts.generation import (
    PREVIEW_JOB_TYPE,
    JobRequested,
    PreviewTerms,
)
from shared.contracts.generation_input import read
from shared.contracts.problem import Detail, Problem, invalid
from tests.unit.generation.builders import COLLECTION, JOB, data, step
from tests.unit.generation.test_collection_source import CREATED, received
from tests.unit.generation.test_collection_source import given as state_after
from tests.unit.generation.test_stop_and_resume import REQUEST

OWNER, OTHER = UUID(int=77), UUID(int=8)
OPEN = PreviewTerms(enabled=True, max_generations=3, is_remixable=False)
PREVIEW = msgspec.structs.replace(REQUEST, job_type=PREVIEW_JOB_TYPE, payer_id=OWNER, shares_instructions=False)


def source(preview=OPEN, **fields):
    return CollectionSource(user_id=OWNER, preview=preview, was_public=True, **fields)


def test_visitors_may_generate_while_the_preview_is_open():
    assert preview_terms(source()) == OPEN
    closed = msgspec.structs.replace(OPEN, enabled=False)
    for shut in (source(closed), source(None), source(is_archived=True)):
        with pytest.raises(Problem, match="does not let visitors") as refused:
            preview_terms(shut)
        assert refused.value.code == "PREVIEW_DISABLED"


def test_a_collection_that_nobody_could_see_is_not_there():
    with pytest.raises(Problem) as refused:
        preview_terms(CollectionSource(user_id=OWNER))
    assert refused.value.code == "NOT_FOUND"


def test_the_owner_pays_only_if_they_say_so():
    """A preview that the owner paid for can be resumed while the owner still does."""
    paid = msgspec.structs.replace(OPEN, paid_by="owner")
    assert (payer_of(source(), OPEN), payer_of(source(), paid)) == (None, OWNER)
    for payer, terms in ((None, OPEN), (None, paid), (OWNER, paid)):
        refuse_other_payer(payer, source(), terms)
    for payer, terms in ((OWNER, OPEN), (OTHER, paid)):
        with pytest.raises(Problem) as refused:
            refuse_other_payer(payer, source(), terms)
        assert refused.value.code == "PREVIEW_DISABLED"


def test_a_visitor_makes_one_artwork_by_default_and_none_of_the_tokens():
    """Hashes that are stated, or are the collection's own, would make the artworks of its tokens."""
    assert request_of_visitor(JobRequest()).generations == 1
    assert request_of_visitor(JobRequest(generations=2)).generations == 2
    with pytest.raises(Problem) as refused:
        request_of_visitor(JobRequest(hashes=["ab"]))
    assert [detail.pointer for detail in refused.value.details] == ["/hashes"]
    own = read(data(step(1, prompt="a"), hashes=["ab"], use_custom_hashes=True, generations=1))
    assert own.use_custom_hashes
    assert not input_of_visitor(own).use_custom_hashes


def test_a_refusal_says_nothing_of_hidden_instructions():
    faults = (
        Detail("/variables/x", "is not known"),
        Detail("/data/steps/0/nodePayload/prompt", "the secret is too long"),
    )
    answer = without_instructions(invalid("The request can't be carried out", *faults))
    assert [detail.pointer for detail in answer.details] == ["/variables/x", "/data"]
    assert "secret" not in str(answer.details)
    own = invalid("The request can't be carried out", faults[0])
    assert without_instructions(own).details == own.details


def test_files_of_hidden_instructions_say_nothing_of_them():
    assert reproduction({}, {"style": "ink"}, None) == {}


# Generation's copy of the collection


def test_what_visitors_may_do_is_taken():
    """Also when later changes were taken first: earlier releases did not consume it."""
    event = PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)
    command = adoption(received(event))
    state = state_after(CREATED, command)
    assert (state.preview, state.was_public) == (OPEN, True)
    later = msgspec.structs.replace(command, source=msgspec.structs.replace(command.source, version=9), preview=None)
    late = state_after(CREATED, msgspec.structs.replace(later, title="Owls"), command)
    assert (late.title, late.preview, late.source.version) == ("Owls", OPEN, 9)


def test_who_may_generate_is_not_what_is_generated():
    """A request that is based on an earlier version is still about the same collection."""
    preview = adoption(received(PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)))
    state = state_after(CREATED, preview)
    assert (state.source.version, state.content_version) == (4, 1)
    later = msgspec.structs.replace(preview.source, version=5)
    state = state_after(CREATED, preview, Revise(COLLECTION, later, title="Owls"))
    assert (state.source.version, state.content_version, state.preview) == (5, 5, OPEN)


def test_a_collection_that_was_once_public_stays_known():
    """Published, or with an open preview; a preview that was always closed shows it to nobody."""
    assert state_after(CREATED).was_public is False
    published = adoption(received(CollectionPublished(COLLECTION, UUID(int=5), OWNER, "2026-11-27T12:00:00+00:00")))
    assert state_after(CREATED, published).was_public
    closed = PreviewConfigured(COLLECTION, enabled=False, max_generations=3, is_remixable=True)
    assert state_after(CREATED, adoption(received(closed))).was_public is False


# Fairness


def test_previews_start_after_their_payers_own_jobs():
    requested, *_ = decide(PREVIEW, Job())
    assert isinstance(requested, JobRequested)

    class Specification:
        def __init__(self, requested):
            self.requested, self.definitions = requested, {"sketch": type("", (), {"priority": 50})()}

    preview = open_job(JOB, Round(Specification(requested)), [])
    assert (preview.user_id, preview.priority) == (OWNER, 0)
    own, *_ = decide(REQUEST, Job())
    assert open_job(JOB, Round(Specification(own)), []).priority == 50
