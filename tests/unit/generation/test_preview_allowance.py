"""How many generations a visitor may make of another user's collection, and whose credits they take."""

from uuid import UUID

import msgspec
import pytest

from services.credits.consumers import command_of
from services.credits.domain.decisions import CaptureHold, PlaceHold, ReleaseHold
from services.generation.domain import preview_allowance
from services.generation.domain.job import Authorize, EndGeneration, EndGenerations, Job, Reject, Resume, decide, evolve
from services.generation.domain.job.hold import OTHERS_REASON
from services.generation.domain.preview_allowance import PreviewAllowance, PreviewLimit, Reserve, Settle, reservation
from services.generation.processes.settle_previews import settlement
from shared.contracts.generation import (
    PREVIEW_JOB_TYPE,
    JobAuthorized,
    JobDisowned,
    JobRejected,
    JobResumed,
    PreviewReserved,
    PreviewSettled,
    ResumedGenerations,
)
from tests.support.specification import Aggregate
from tests.unit.generation.builders import COLLECTION, JOB, NOW, USER, after
from tests.unit.generation.test_collection_source import received
from tests.unit.generation.test_stop_and_resume import COST, GIDS, REQUEST

OWNER, OTHER = UUID(int=77), UUID(int=8)
LIMIT = PreviewLimit(COLLECTION, USER, 3)
ALLOWANCE = Aggregate(PreviewAllowance(), preview_allowance.evolve, preview_allowance.decide)
JOBS = Aggregate(Job(), evolve, decide)
PREVIEW = msgspec.structs.replace(REQUEST, job_type=PREVIEW_JOB_TYPE, payer_id=OWNER, shares_instructions=False)


def reserve(generations, job_id=JOB, round_=0, most=3):
    return Reserve(PreviewLimit(COLLECTION, USER, most), job_id, round_, generations)


def settle(completed, job_id=JOB, round_=0):
    return Settle(COLLECTION, USER, job_id, round_, completed)


def reserved(generations, job_id=JOB, round_=0):
    return PreviewReserved(COLLECTION, USER, job_id, round_, generations)


def settled(completed, job_id=JOB, round_=0):
    return PreviewSettled(COLLECTION, USER, job_id, round_, completed)


# The allowance


def test_all_jobs_of_a_visitor_together_have_at_most_the_limit():
    ALLOWANCE.given().when(reserve(2)).then(reserved(2))
    [detail] = (
        ALLOWANCE.given(reserved(2)).when(reserve(2, OTHER)).then_refused("PREVIEW_LIMIT_REACHED", "/generations")
    )
    assert detail.message == "must be 1 at most"
    ALLOWANCE.given(reserved(2)).when(reserve(1, OTHER)).then(reserved(1, OTHER))
    [detail] = (
        ALLOWANCE.given(reserved(3)).when(reserve(1, OTHER)).then_refused("PREVIEW_LIMIT_REACHED", "/generations")
    )
    assert detail.message == "none are left"


def test_what_did_not_complete_can_be_made_again():
    """Failed, cancelled or declined: when the job ends, only what has completed counts."""
    ALLOWANCE.given(reserved(3)).when(settle(1), reserve(2, OTHER)).then(settled(1), reserved(2, OTHER))
    ALLOWANCE.given(reserved(3)).when(settle(0), reserve(3, OTHER)).then(settled(0), reserved(3, OTHER))


def test_a_resume_takes_what_runs_again():
    """Whether the end of the round before was recorded in the allowance or not."""
    for history in ([reserved(3), settled(2)], [reserved(3)]):
        ALLOWANCE.given(*history).when(reserve(3, round_=1)).then(reserved(3, round_=1))
    used = [reserved(3), settled(2), reserved(1, OTHER)]
    ALLOWANCE.given(*used).when(reserve(3, round_=1)).then_refused("PREVIEW_LIMIT_REACHED", "/generations")


def test_the_limit_follows_the_owners_setting():
    """A lower one takes nothing away of what was made."""
    ALLOWANCE.given(reserved(3), settled(3)).when(reserve(2, OTHER, most=5)).then(reserved(2, OTHER))
    ALLOWANCE.given(reserved(3), settled(3)).when(reserve(1, OTHER, most=2)).then_refused(
        "PREVIEW_LIMIT_REACHED", "/generations"
    )


def test_commands_of_an_allowance_are_idempotent():
    """An end that is reported late, after the job was resumed, changes nothing; neither does one of an unknown job."""
    ALLOWANCE.given(reserved(2)).when(reserve(2)).then_nothing_happens()
    ALLOWANCE.given(reserved(2), settled(1)).when(settle(1)).then_nothing_happens()
    ALLOWANCE.given(reserved(2), settled(1), reserved(2, round_=1)).when(settle(1)).then_nothing_happens()
    ALLOWANCE.given(reserved(2), settled(0)).when(settle(0)).then_nothing_happens()


def test_a_reservation_is_of_the_request_or_the_resume():
    requested, *_ = decide(PREVIEW, Job())
    assert reservation(requested, 0, LIMIT) == Reserve(LIMIT, JOB, 0, 3)
    resumed = JobResumed(JOB, USER, 1, "start", [ResumedGenerations(GIDS[1:], COST, "failed")], 2 * COST)
    assert reservation(resumed, 1, LIMIT) == Reserve(LIMIT, JOB, 1, 3)


# The job


def authorized(command=PREVIEW):
    return [*decide(command, Job()), JobAuthorized(JOB, 3 * COST)]


def ends(completed, round_=0):
    gids = enumerate(GIDS)
    return EndGenerations([EndGeneration(gid, COST, None if n < completed else "broken", round_) for n, gid in gids])


def test_the_hold_is_of_the_payers_credits():
    """One of the visitor's own is given back: nobody's credits are spent but those that the owner has chosen."""
    requested, *_ = decide(PREVIEW, Job())
    assert (requested.user_id, requested.payer_id) == (USER, OWNER)
    JOBS.given(requested).when(Authorize(JOB, OWNER, 3 * COST)).then(JobAuthorized(JOB, 3 * COST))
    JOBS.given(requested).when(Authorize(JOB, USER, 3 * COST)).then(JobDisowned(JOB, USER))


@pytest.mark.parametrize("completed", [0, 1, 3])
def test_each_end_names_the_payer(completed):
    assert JOBS.given(*authorized()).when(ends(completed)).events[-1].payer_id == OWNER


def test_the_user_does_not_see_how_many_credits_the_payer_has():
    """Of their own, they do."""
    declined = Reject("INSUFFICIENT_CREDITS", "The job needs 3 credits, and 2 are available")
    JOBS.given(*decide(PREVIEW, Job())).when(declined).then(
        JobRejected(JOB, "INSUFFICIENT_CREDITS", OTHERS_REASON, USER, OWNER)
    )
    own = msgspec.structs.replace(PREVIEW, payer_id=None)
    JOBS.given(*decide(own, Job())).when(declined).then(JobRejected(JOB, declined.code, declined.reason, USER))


def test_a_resume_is_of_the_same_payer():
    resume = Resume(0, "last_completed", [ResumedGenerations(GIDS[1:], COST, "failed")])
    [resumed] = JOBS.given(*authorized()).after(ends(1)).when(resume).events
    assert resumed.payer_id == OWNER


@pytest.mark.parametrize("completed", [0, 1, 3])
def test_an_allowance_is_settled_when_the_job_has_ended(completed):
    """Not before, and not for a job of the collection's owner."""
    assert settlement(after(evolve, Job(), authorized())) is None
    ended = JOBS.given(*authorized()).after(ends(completed)).state
    assert settlement(ended) == settle(completed)
    owners = authorized(REQUEST)
    assert settlement(JOBS.given(*owners).after(ends(completed)).state) is None


def test_a_rejected_job_has_nothing_of_the_allowance():
    rejected = JobRejected(JOB, "INSUFFICIENT_CREDITS", OTHERS_REASON, USER, OWNER)
    assert settlement(after(evolve, Job(), [*decide(PREVIEW, Job()), rejected])) == settle(0)


# Credits


@pytest.mark.parametrize(("payer_id", "account"), [(None, USER), (OWNER, OWNER)])
def test_credits_are_held_and_captured_of_the_payers_account(payer_id, account):
    job = msgspec.structs.replace(PREVIEW, payer_id=payer_id)
    requested, *_ = decide(job, Job())
    assert command_of(received(requested), NOW) == PlaceHold(account, JOB, 3 * COST, NOW)
    done = JOBS.given(requested, JobAuthorized(JOB, 3 * COST)).when(ends(3)).events[-1]
    assert command_of(received(done), NOW) == CaptureHold(account, JOB, 3 * COST, NOW)
    failed = JOBS.given(requested, JobAuthorized(JOB, 3 * COST)).when(ends(0)).events[-1]
    assert command_of(received(failed), NOW) == ReleaseHold(account, JOB, NOW)
    [rejected] = JOBS.given(requested).when(Reject("INSUFFICIENT_CREDITS", "too few")).events
    assert command_of(received(rejected), NOW) == ReleaseHold(account, JOB, NOW)
