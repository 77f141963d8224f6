"""A job: pending until its credits are held, and ended by the last of its generations."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.job import (
    Abandon,
    Authorize,
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
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    RequestedGeneration,
    generation_id,
)
from shared.contracts.problem import Problem
from shared.contracts.sizes import MAX_PART
from tests.unit.generation.builders import COLLECTION, JOB, PROJECT, USER, after

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


def given_(*commands):
    state = Job()
    for command in commands:
        state = after(evolve, state, decide(command, state))
    return state


def succeeded(*gids):
    return EndGenerations([EndGeneration(gid, cost=1_250_000) for gid in gids])


def failed(*gids):
    return EndGenerations([EndGeneration(gid, error=f"{gid.int} broke") for gid in gids])


HELD = Authorize(JOB, USER, 3_750_000)


def test_a_request_becomes_a_pending_job_with_its_quote():
    """Its name tells the collection's title."""
    [event] = decide(request(), Job())
    assert isinstance(event, JobRequested)
    assert (event.name, event.job_type, event.quoted) == (
        "Collection Generation: Foxes",
        "collection_generation",
        3_750_000,
    )
    assert given_(request()).status == "pending"


def test_a_request_is_recorded_once():
    """The same job again changes nothing."""
    assert decide(request(), given_(request())) == []


def test_held_credits_authorize_the_job():
    """Once, however often it is told."""
    assert decide(HELD, given_(request())) == [JobAuthorized(JOB, 3_750_000)]
    assert decide(HELD, given_(request(), HELD)) == []


def test_declined_credits_reject_the_job():
    """And what comes later changes nothing."""
    reject = Reject("INSUFFICIENT_CREDITS", "too poor")
    assert decide(reject, given_(request())) == [JobRejected(JOB, "INSUFFICIENT_CREDITS", "too poor", USER)]
    rejected = given_(request(), reject)
    assert rejected.status == "rejected"
    for late in (reject, HELD, succeeded(GIDS[0])):
        assert decide(late, rejected) == []


@pytest.mark.parametrize("command", [Reject("X", "x"), succeeded(GIDS[0])])
def test_nothing_happens_to_a_job_that_does_not_exist(command):
    """A verdict can't make one."""
    assert decide(command, Job()) == []


def test_generations_end_one_by_one_and_the_last_ends_the_job():
    """All succeeded: completed, and all is captured."""
    state = given_(request(), HELD, succeeded(GIDS[0]), succeeded(GIDS[1]))
    assert decide(succeeded(GIDS[2]), state) == [
        JobGenerationCompleted(JOB, GIDS[2], 1_250_000, ended=3, total=3),
        JobCompleted(JOB, USER, 3_750_000),
    ]


def test_some_failed_and_the_job_is_partially_completed():
    """What succeeded is captured, no more."""
    state = given_(request(), HELD, succeeded(GIDS[0]))
    assert decide(failed(GIDS[1], GIDS[2]), state) == [
        JobGenerationFailed(JOB, GIDS[1], "101 broke", ended=2, total=3),
        JobGenerationFailed(JOB, GIDS[2], "102 broke", ended=3, total=3),
        JobPartiallyCompleted(JOB, USER, captured=1_250_000, failed=2),
    ]


def test_all_failed_and_the_job_failed():
    """With the first failure's error; nothing is captured."""
    state = given_(request(), HELD, failed(GIDS[1]))
    assert decide(failed(GIDS[0], GIDS[2]), state)[-1] == JobFailed(JOB, USER, "101 broke")


def test_an_end_counts_once():
    """Told twice, also within one command, or with the opposite outcome, or of a stranger: nothing."""
    state = given_(request(), HELD, succeeded(GIDS[0]))
    assert decide(succeeded(GIDS[0]), state) == []
    assert decide(failed(GIDS[0]), state) == []
    assert decide(succeeded(GIDS[3]), state) == []
    assert len(decide(succeeded(GIDS[1], GIDS[1]), state)) == 1


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4), st.data())
def test_the_order_and_grouping_of_ends_makes_no_difference(order, outcomes, choose):
    """Captured is the sum of what succeeded, and exactly one event ends the job."""
    state = given_(request(4), msgspec.structs.replace(HELD, held=5_000_000))
    ends = [EndGeneration(GIDS[n], cost=1_250_000, error=None if outcomes[n] else "x") for n in order]
    cut = choose.draw(st.integers(0, 4))
    events = []
    for group in (ends[:cut], ends[cut:], ends):
        decided = decide(EndGenerations(group), state)
        state = after(evolve, state, decided)
        events.extend(decided)
    kinds = {True: JobCompleted, False: JobFailed}
    outcome = kinds[outcomes[0]] if len(set(outcomes)) == 1 else JobPartiallyCompleted
    assert [type(event) for event in events[4:]] == [outcome]
    assert state.captured == 1_250_000 * sum(outcomes)


def test_an_abandoned_job_fails_what_is_open_of_it():
    """What succeeded before stays, and is captured."""
    state = given_(request(), HELD, succeeded(GIDS[0]))
    events = decide(Abandon("no plan"), state)
    assert [type(event) for event in events] == [JobGenerationFailed, JobGenerationFailed, JobPartiallyCompleted]
    assert decide(Abandon("again"), after(evolve, state, events)) == []


def test_a_large_job_is_told_in_parts():
    """In one append, each part of a bounded size: together they list every generation, in order."""
    generations = [RequestedGeneration(generation_id(JOB, place), f"{place:064x}", 1) for place in range(10_000)]
    wanted = msgspec.structs.replace(request(), generations=generations)
    requested, *parts = decide(wanted, Job())
    assert (requested.total, requested.parts, requested.count) == (10_000, len(parts), 10_000)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [*requested.generations, *(each for part in parts for each in part.generations)] == generations
    assert requested.gids() == [each.gid for each in generations]
    assert max(len(msgspec.json.encode(event)) for event in (requested, *parts)) < MAX_PART + 1000
    assert decide(request(), Job())[0].parts == 0


def test_a_large_job_stays_quick_to_fold():
    """A state per event, of 10,000 generations: bytes are copied, not dictionaries."""
    gids = [generation_id(JOB, place) for place in range(10_000)]
    requested = msgspec.structs.replace(request(), generations=[RequestedGeneration(gid, "h", 1) for gid in gids])
    state = given_(requested, HELD)
    for start in range(0, 10_000, 500):
        state = after(evolve, state, decide(succeeded(*gids[start : start + 500]), state))
    assert (state.status, state.captured) == ("completed", 10_000 * 1_250_000)


STRANGER = UUID(int=77)


@pytest.mark.parametrize("commands", [(), (request(),), (request(), HELD)])
def test_a_hold_for_a_job_that_there_is_not_is_disowned(commands):
    """A job that was never requested, or not by that user: what credits holds is to be given back."""
    state = given_(*commands)
    stranger = Authorize(JOB, STRANGER, 3_750_000)
    assert decide(stranger, state) == [JobDisowned(JOB, STRANGER)]
    assert after(evolve, state, [JobDisowned(JOB, STRANGER)]).status == (state.status or "disowned")


def test_a_disowned_job_can_not_be_requested_any_more():
    """Its hold was given back, and credits places one per job: the request needs an id of its own."""
    with pytest.raises(Problem) as refused:
        decide(request(), given_(HELD))
    assert refused.value.code == "CONFLICT"


def test_a_hold_of_another_amount_rejects_the_job():
    """Which gives it back."""
    [event] = decide(Authorize(JOB, USER, 1), given_(request()))
    assert isinstance(event, JobRejected)
    assert (event.code, event.user_id) == ("HOLD_DIFFERS", USER)
