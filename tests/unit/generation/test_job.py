"""A job: pending until its credits are held, and ended by the last of its generations."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.job import (
    Abandon,
    Authorize,
    ConfirmHold,
    EndGeneration,
    EndGenerations,
    Job,
    Reject,
    RequestJob,
    decide,
    evolve,
)
from shared.contracts.generation import (
    JobAuthorized,
    JobCompleted,
    JobDisowned,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobHoldConfirmed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    RequestedGeneration,
    generation_id,
)
from shared.contracts.sizes import MAX_PART
from tests.support.specification import Aggregate
from tests.unit.generation.builders import COLLECTION, JOB, PROJECT, USER

GIDS = [UUID(int=100 + n) for n in range(4)]


def request(count=3):
    return RequestJob(
        job_id=JOB,
        user_id=USER,
        collection_id=COLLECTION,
        project_id=PROJECT,
        title="Foxes",
        data={"version": "v2"},
        workflow_versions={"sketch": 1},
        variables={},
        generations=[RequestedGeneration(gid, f"hash {gid}", 1_250_000) for gid in GIDS[:count]],
        quoted=1_250_000 * count,
        encryption_enabled=False,
    )


JOBS = Aggregate(Job(), evolve, decide)


def after(*commands):
    return JOBS.given().after(*commands)


def succeeded(*gids):
    return EndGenerations([EndGeneration(gid, cost=1_250_000) for gid in gids])


def failed(*gids):
    return EndGenerations([EndGeneration(gid, error=f"{gid.int} broke") for gid in gids])


HELD = Authorize(JOB, USER, 3_750_000)


def test_a_request_becomes_a_pending_job_with_its_quote():
    """Its name contains the collection's title."""
    [event] = JOBS.given().when(request()).events
    assert isinstance(event, JobRequested)
    assert (event.name, event.job_type, event.quoted) == (
        "Collection Generation: Foxes",
        "collection_generation",
        3_750_000,
    )
    assert after(request()).state.status == "pending"


def test_a_request_is_recorded_once():
    """The same job again changes nothing."""
    after(request()).when(request()).then_nothing_happens()


def test_held_credits_authorize_the_job():
    """Once, however often the event is delivered."""
    after(request()).when(HELD).then(JobAuthorized(JOB, 3_750_000))
    after(request(), HELD).when(HELD).then_nothing_happens()


def test_declined_credits_reject_the_job():
    """And what comes later changes nothing."""
    reject = Reject("INSUFFICIENT_CREDITS", "too poor")
    rejected = after(request()).when(reject).then(JobRejected(JOB, "INSUFFICIENT_CREDITS", "too poor", USER))
    assert rejected.state.status == "rejected"
    for late in (reject, HELD, succeeded(GIDS[0])):
        rejected.when(late).then_nothing_happens()


@pytest.mark.parametrize("command", [Reject("X", "x"), succeeded(GIDS[0])])
def test_nothing_happens_to_a_job_that_does_not_exist(command):
    """A verdict can't make one."""
    JOBS.given().when(command).then_nothing_happens()


def test_generations_end_one_by_one_and_the_last_ends_the_job():
    """All succeeded: completed, and all is captured."""
    after(request(), HELD, succeeded(GIDS[0]), succeeded(GIDS[1])).when(succeeded(GIDS[2])).then(
        JobGenerationCompleted(JOB, GIDS[2], 1_250_000, ended=3, total=3),
        JobCompleted(JOB, USER, 3_750_000),
    )


def test_some_failed_and_the_job_is_partially_completed():
    """What succeeded is captured, no more."""
    after(request(), HELD, succeeded(GIDS[0])).when(failed(GIDS[1], GIDS[2])).then(
        JobGenerationFailed(JOB, GIDS[1], "101 broke", ended=2, total=3),
        JobGenerationFailed(JOB, GIDS[2], "102 broke", ended=3, total=3),
        JobPartiallyCompleted(JOB, USER, captured=1_250_000, failed=2),
    )


def test_all_failed_and_the_job_failed():
    """With the first failure's error; nothing is captured."""
    ended = after(request(), HELD, failed(GIDS[1])).when(failed(GIDS[0], GIDS[2]))
    assert ended.events[-1] == JobFailed(JOB, USER, "101 broke")


def test_an_end_counts_once():
    """Told twice, also within one command, or with the opposite outcome, or of a stranger: nothing."""
    job = after(request(), HELD, succeeded(GIDS[0]))
    job.when(succeeded(GIDS[0]), failed(GIDS[0]), succeeded(GIDS[3])).then_nothing_happens()
    assert len(job.when(succeeded(GIDS[1], GIDS[1])).events) == 1


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4), st.data())
def test_the_order_and_grouping_of_ends_makes_no_difference(order, outcomes, choose):
    """Captured is the sum of what succeeded, and exactly one event ends the job."""
    job = after(request(4), msgspec.structs.replace(HELD, held=5_000_000))
    ends = [EndGeneration(GIDS[n], cost=1_250_000, error=None if outcomes[n] else "x") for n in order]
    cut = choose.draw(st.integers(0, 4))
    job.when(*(EndGenerations(group) for group in (ends[:cut], ends[cut:], ends)))
    kinds = {True: JobCompleted, False: JobFailed}
    outcome = kinds[outcomes[0]] if len(set(outcomes)) == 1 else JobPartiallyCompleted
    assert [type(event) for event in job.events[4:]] == [outcome]
    assert job.state.captured == 1_250_000 * sum(outcomes)


def test_an_abandoned_job_fails_what_is_open_of_it():
    """What succeeded before stays, and is captured."""
    job = after(request(), HELD, succeeded(GIDS[0])).when(Abandon("no plan"))
    assert [type(event) for event in job.events] == [JobGenerationFailed, JobGenerationFailed, JobPartiallyCompleted]
    job.when(Abandon("again")).then_nothing_happens()


def test_a_large_job_is_told_in_parts():
    """In one append, each part of a bounded size: together they list every generation, in order."""
    generations = [RequestedGeneration(generation_id(JOB, place), f"{place:064x}", 1) for place in range(10_000)]
    command = msgspec.structs.replace(request(), generations=generations)
    requested, *parts = JOBS.given().when(command).events
    assert (requested.total, requested.parts, requested.count) == (10_000, len(parts), 10_000)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [*requested.generations, *(generation for part in parts for generation in part.generations)] == generations
    assert requested.gids() == [generation.gid for generation in generations]
    assert max(len(msgspec.json.encode(event)) for event in (requested, *parts)) < MAX_PART + 1000
    assert JOBS.given().when(request()).events[0].parts == 0


def test_a_large_job_stays_quick_to_fold():
    """A state per event, of 10,000 generations: bytes are copied, not dictionaries."""
    gids = [generation_id(JOB, place) for place in range(10_000)]
    requested = msgspec.structs.replace(request(), generations=[RequestedGeneration(gid, "h", 1) for gid in gids])
    job = after(requested, HELD).after(*(succeeded(*gids[start : start + 500]) for start in range(0, 10_000, 500)))
    assert (job.state.status, job.state.captured) == ("completed", 10_000 * 1_250_000)


STRANGER = UUID(int=77)


@pytest.mark.parametrize("commands", [(), (request(),), (request(), HELD)])
def test_a_hold_for_a_job_that_there_is_not_is_disowned(commands):
    """A job that was never requested, or not by that user: what credits holds is to be given back."""
    job = after(*commands)
    status = job.state.status
    job.when(Authorize(JOB, STRANGER, 3_750_000)).then(JobDisowned(JOB, STRANGER))
    assert job.state.status == (status or "disowned")


@pytest.mark.parametrize(
    ("commands", "user", "hold", "answer"),
    [
        ((), USER, None, JobDisowned),
        ((request(),), USER, None, JobHoldConfirmed),
        ((request(), HELD), USER, None, JobHoldConfirmed),
        ((request(), HELD), STRANGER, None, JobDisowned),
        ((request(), HELD), USER, UUID(int=78), JobDisowned),
        ((request(), HELD, succeeded(*GIDS[:3])), USER, None, JobDisowned),
    ],
    ids=["unknown", "pending", "processing", "another user's", "another round's", "ended"],
)
def test_an_overdue_hold_is_confirmed_while_its_job_is_open_and_disowned_else(commands, user, hold, answer):
    job = after(*commands)
    state = job.state
    job.when(ConfirmHold(JOB, user, hold)).then(answer(JOB, user, hold))
    assert job.state.status == (state.status or "disowned")
    assert (job.state.places, job.state.captured) == (state.places, state.captured)


def test_a_disowned_job_can_not_be_requested_any_more():
    """Its hold was given back, and credits places one per job: the request needs an id of its own."""
    after(HELD).when(request()).then_refused("CONFLICT")


def test_a_hold_of_another_amount_rejects_the_job():
    """Which gives it back."""
    [event] = after(request()).when(Authorize(JOB, USER, 1)).events
    assert isinstance(event, JobRejected)
    assert (event.code, event.user_id) == ("HOLD_DIFFERS", USER)
