"""A job that is stopped, and one that is resumed: what runs again, and what it costs."""

from uuid import UUID

import msgspec
import pytest

from services.generation.domain.job import (
    Authorize,
    EndGeneration,
    EndGenerations,
    FinishStop,
    Job,
    Pause,
    Reject,
    RequestJob,
    Resume,
    Stop,
    Unpause,
    decide,
    evolve,
)
from shared.contracts.generation import (
    JobAuthorized,
    JobCancelled,
    JobCompleted,
    JobDisowned,
    JobExpired,
    JobFailed,
    JobGenerationCompleted,
    JobPartiallyCompleted,
    JobPaused,
    JobResumed,
    JobResumeRejected,
    JobStopRequested,
    JobUnpaused,
    RequestedGeneration,
    ResumedGenerations,
    generation_id,
    hold_id,
)
from tests.support.specification import Aggregate
from tests.unit.generation.builders import COLLECTION, JOB, PROJECT, USER

GIDS = [UUID(int=100 + n) for n in range(3)]
COST = 1_250_000
FIRST_HOLD = hold_id(JOB, 1)

REQUEST = RequestJob(
    job_id=JOB,
    user_id=USER,
    collection_id=COLLECTION,
    project_id=PROJECT,
    title="Foxes",
    data={"version": "v2"},
    workflow_versions={"sketch": 1},
    variables={},
    generations=[RequestedGeneration(gid, f"hash {gid}", COST) for gid in GIDS],
    quoted=3 * COST,
    encryption_enabled=False,
)
HELD = Authorize(JOB, USER, 3 * COST)
CANCEL = Stop("cancelled")


def completed(*gids, in_round=0):
    return EndGenerations([EndGeneration(gid, cost=COST, round=in_round) for gid in gids])


def failed(*gids, in_round=0):
    return EndGenerations([EndGeneration(gid, error="broke", round=in_round) for gid in gids])


def stopped(*gids, cost=0, in_round=0):
    return FinishStop(in_round, [EndGeneration(gid, cost=cost, is_cancelled=True, round=in_round) for gid in gids])


def again(*gids, cost=COST, after_round=0, status="failed"):
    return Resume(after_round, "last_completed", [ResumedGenerations(list(gids), cost, status)])


def after(*commands):
    return Aggregate(Job(), evolve, decide).given().after(REQUEST, *commands)


def test_a_cancelled_job_captures_what_has_completed_and_releases_the_rest():
    """Finished steps of a cancelled generation are captured too."""
    job = after(HELD, completed(GIDS[0])).when(CANCEL).then(JobStopRequested(JOB, USER, "cancelled"))
    assert job.state.status == "processing"
    job.when(stopped(*GIDS[1:], cost=1_000_000)).then(
        JobCancelled(JOB, USER, completed=1, cancelled=2, captured=COST + 2_000_000, released=500_000)
    )
    assert (job.state.captured, job.state.released, job.state.open) == (3_250_000, 500_000, 0)


def test_cancelling_twice_changes_nothing():
    """Before its generations are cancelled, and after."""
    job = after(HELD, CANCEL)
    job.when(CANCEL).then_nothing_happens()
    job.after(stopped(*GIDS)).when(CANCEL, stopped(*GIDS), completed(GIDS[0])).then_nothing_happens()


def test_a_job_that_has_ended_otherwise_can_not_be_cancelled():
    after(HELD, completed(*GIDS)).when(CANCEL).then_refused("JOB_HAS_ENDED")
    after(Reject("X", "x")).when(CANCEL).then_refused("JOB_HAS_ENDED")


def test_a_pending_job_is_cancelled_before_its_hold_is_decided():
    """The decision comes later, and changes nothing: credits releases what it holds."""
    job = after(CANCEL, stopped(*GIDS))
    assert (job.state.status, job.state.captured, job.state.released) == ("cancelled", 0, 0)
    job.when(HELD, Reject("X", "x")).then_nothing_happens()
    after(CANCEL).when(HELD).then_nothing_happens()


def test_generations_that_ended_before_they_could_be_cancelled_count_as_they_ended():
    """If all have, nothing was cancelled."""
    ends = FinishStop(0, [EndGeneration(gid, cost=COST) for gid in GIDS])
    assert after(HELD, CANCEL).when(ends).events[-1] == JobCompleted(JOB, USER, 3 * COST)
    job = after(HELD, CANCEL, completed(GIDS[0])).when(
        FinishStop(0, [*ends.ends[:2], EndGeneration(GIDS[2], is_cancelled=True)])
    )
    assert job.events == [
        JobGenerationCompleted(JOB, GIDS[1], COST, 2, 3),
        JobCancelled(JOB, USER, completed=2, cancelled=1, captured=2 * COST, released=COST),
    ]


def test_a_job_expires_in_the_round_that_has_waited():
    """A look at a round that has ended meanwhile expires nothing."""
    expire = Stop("expired", "It waited for a day", round=0)
    job = after(HELD).when(expire, stopped(*GIDS))
    assert job.events[-1] == JobExpired(JOB, USER, "It waited for a day", 0, 3, 0, 3 * COST)
    job.when(expire).then_nothing_happens()
    job.after(again(*GIDS, status="cancelled")).when(expire).then_nothing_happens()


def test_a_resume_is_a_round_with_a_hold_of_its_own():
    """What completed is not in it; the job completes when the round does."""
    job = after(HELD, completed(GIDS[0]), failed(*GIDS[1:])).when(again(*GIDS[1:], cost=250_000))
    [event] = job.events
    assert isinstance(event, JobResumed)
    assert (event.round, event.quoted, event.gids()) == (1, 500_000, GIDS[1:])
    job.when(HELD).then_nothing_happens()  # of the request
    job.when(Authorize(JOB, USER, 500_000, FIRST_HOLD)).then(JobAuthorized(JOB, 500_000, round=1))
    job.when(failed(GIDS[1])).then_nothing_happens()  # an end of the request's round, told again
    ends = EndGenerations([EndGeneration(gid, cost=250_000, round=1) for gid in GIDS[1:]])
    assert job.when(ends).events[-1] == JobCompleted(JOB, USER, captured=500_000, round=1)
    job.when(again(GIDS[1], after_round=1)).then_refused("JOB_NOT_RESUMABLE")


def test_a_part_of_a_job_is_resumed():
    """The others stay as they were, and can be resumed later."""
    job = after(HELD, failed(*GIDS), again(GIDS[0]), Authorize(JOB, USER, COST, FIRST_HOLD))
    ended = job.when(completed(GIDS[0], in_round=1))
    assert ended.events[-1] == JobPartiallyCompleted(JOB, USER, captured=COST, failed=2, round=1)
    later = ended.after(again(*GIDS[1:], after_round=1), Authorize(JOB, USER, 2 * COST, hold_id(JOB, 2)))
    assert later.when(completed(*GIDS[1:], in_round=2)).events[-1] == JobCompleted(JOB, USER, 2 * COST, round=2)


def test_a_resume_without_credits_leaves_the_job_as_it_was():
    """And can be tried again."""
    job = after(HELD, failed(*GIDS), again(*GIDS))
    poor = Reject("INSUFFICIENT_CREDITS", "too poor", FIRST_HOLD)
    [event] = job.when(poor).events
    assert isinstance(event, JobResumeRejected)
    assert (event.status, event.quoted, event.gids()) == ("failed", 3 * COST, GIDS)
    assert (job.state.status, job.state.declined, job.state.open) == ("failed", True, 0)
    job.after(again(*GIDS, after_round=1), Authorize(JOB, USER, 3 * COST, hold_id(JOB, 2)))
    assert (job.state.status, job.state.round, job.state.declined) == ("processing", 2, False)


@pytest.mark.parametrize(
    "commands",
    [(), (HELD,), (HELD, CANCEL), (HELD, completed(*GIDS)), (Reject("X", "x"),), (HELD, failed(*GIDS), again(*GIDS))],
)
def test_only_a_job_that_has_ended_without_all_of_its_generations_is_resumed(commands):
    after(*commands).when(again(*GIDS)).then_refused("JOB_NOT_RESUMABLE")


def test_of_two_resumes_at_once_one_is_refused():
    """It was planned for a state that is no more."""
    job = after(
        HELD, failed(*GIDS), again(GIDS[0]), Authorize(JOB, USER, COST, FIRST_HOLD), failed(GIDS[0], in_round=1)
    )
    job.when(again(GIDS[1])).then_refused("JOB_NOT_RESUMABLE")


def test_a_job_that_failed_in_every_round_has_failed():
    """Nothing is captured of the later round either."""
    job = after(HELD, failed(*GIDS), again(*GIDS), Authorize(JOB, USER, 3 * COST, FIRST_HOLD))
    assert job.when(failed(*GIDS, in_round=1)).events[-1] == JobFailed(JOB, USER, "broke", round=1)


def test_the_hold_of_a_round_that_was_lost_in_a_restore_is_disowned():
    """And no later resume uses its id: credits has released it already."""
    job = after(HELD, failed(*GIDS))
    job.when(Authorize(JOB, USER, COST, FIRST_HOLD)).then(JobDisowned(JOB, USER, FIRST_HOLD))
    [event] = job.when(again(*GIDS)).events
    assert event.round == 2


def test_an_operator_pauses_an_open_job():
    job = after(HELD).when(Pause("maintenance")).then(JobPaused(JOB, USER, "maintenance"))
    job.when(Pause("again")).then_nothing_happens()
    job.when(Unpause()).then(JobUnpaused(JOB, USER))
    job.when(Unpause()).then_nothing_happens()
    after(HELD, completed(*GIDS)).when(Pause()).then_refused("JOB_HAS_ENDED")


def test_a_large_resume_is_one_event_of_a_bounded_size():
    """10,000 generations that run again alike are listed once."""
    gids = [generation_id(JOB, place) for place in range(10_000)]
    request = msgspec.structs.replace(REQUEST, generations=[RequestedGeneration(gid, "h", 1) for gid in gids])
    job = Aggregate(Job(), evolve, decide).given().after(request, Authorize(JOB, USER, 3 * COST), failed(*gids))
    [event] = job.when(again(*gids)).events
    assert len(msgspec.json.encode(event)) < 2**20
