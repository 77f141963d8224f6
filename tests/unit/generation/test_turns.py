"""Whose step goes to the workers next."""

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

from services.generation.domain.turns import Limits, ReadyStep, Turns, queue_length

ALICE, BOB = UUID(int=1), UUID(int=2)
BIG, SMALL, OTHER = UUID(int=11), UUID(int=12), UUID(int=13)


SKETCH, FRAME = "direct_job.sketch", "direct_job.frame"


def step(
    job: UUID, user: UUID = ALICE, *, priority: int = 50, workflow: str = "sketch", kind: str = SKETCH
) -> ReadyStep:
    return ReadyStep(uuid4(), 1, uuid4(), job, user, kind, workflow, priority)


def add(turns: Turns, count: int, job: UUID, user: UUID = ALICE, **more: Any) -> list[ReadyStep]:
    steps = [step(job, user, **more) for _ in range(count)]
    for one in steps:
        turns.add(one)
    return steps


def take(turns: Turns, count: int) -> list[UUID]:
    """The jobs of the next steps, each of which ends at once."""
    jobs = []
    for _ in range(count):
        for one in turns.next(lambda _: 1):
            turns.end(one.key)
            jobs.append(one.job_id)
    return jobs


def test_steps_of_one_job_go_in_the_order_in_which_they_were_ready() -> None:
    turns = Turns()
    steps = add(turns, 5, BIG)
    assert turns.next(lambda _: 3) == steps[:3]
    assert turns.at_workers("direct_job.sketch") == 3
    assert turns.next(lambda kind: 4 - turns.at_workers(kind)) == steps[3:4]


def test_a_user_with_nothing_at_workers_is_next() -> None:
    """However long the others wait."""
    turns = Turns()
    add(turns, 100, BIG)
    turns.next(lambda _: 8)
    [first, *_] = add(turns, 4, SMALL, BOB)
    assert turns.next(lambda _: 1) == [first]


def test_users_have_equal_shares() -> None:
    turns = Turns()
    add(turns, 100, BIG)
    add(turns, 100, OTHER)
    add(turns, 100, SMALL, BOB)
    assert Counter(one.user_id for one in turns.next(lambda _: 20)) == {ALICE: 10, BOB: 10}


def test_jobs_of_one_user_run_side_by_side() -> None:
    turns = Turns()
    add(turns, 100, BIG)
    turns.next(lambda _: 4)
    add(turns, 4, SMALL)
    assert Counter(one.job_id for one in turns.next(lambda _: 6))[SMALL] == 4


def test_a_higher_priority_goes_first_among_a_users_jobs() -> None:
    turns = Turns()
    add(turns, 20, BIG, priority=10)
    add(turns, 20, SMALL, priority=90)
    assert take(turns, 40) == [SMALL] * 20 + [BIG] * 20


def test_no_job_waits_for_more_than_about_a_hundred_turns() -> None:
    turns = Turns()
    add(turns, 500, SMALL, priority=100)
    add(turns, 1, BIG, priority=0)
    assert take(turns, 110).count(BIG) == 1


def test_a_priority_takes_nothing_from_other_users() -> None:
    turns = Turns()
    add(turns, 10, BIG, priority=100)
    add(turns, 10, SMALL, BOB, priority=0)
    assert Counter(take(turns, 10)) == {BIG: 5, SMALL: 5}


def test_limits_of_users_and_of_workflows() -> None:
    turns = Turns(Limits(per_user=3, per_workflow={"sketch": 4}))
    add(turns, 10, BIG)
    assert len(turns.next(lambda _: 10)) == 3, "of a user"
    add(turns, 10, SMALL, BOB)
    [last] = turns.next(lambda _: 10)
    assert last.user_id == BOB, "the fourth of the workflow"
    other = step(OTHER, BOB, workflow="frame")
    turns.add(other)
    assert turns.next(lambda _: 1) == [other], "another workflow has its own"
    turns.end(last.key)
    assert [one.job_id for one in turns.next(lambda _: 10)] == [SMALL]


def test_what_an_operator_has_paused_has_no_turn() -> None:
    """A job, or a workflow by its name; what is not sent yet waits until it is continued."""
    paused: set[UUID | str] = {BIG}
    turns = Turns(paused=paused)
    add(turns, 2, BIG)
    [free] = add(turns, 1, SMALL)
    framed = step(SMALL, workflow="frame")
    turns.add(framed)
    paused.add("frame")
    assert turns.next(lambda _: 10) == [free]
    assert turns.waiting == 3
    paused.remove("frame")
    assert turns.next(lambda _: 10) == [framed]
    paused.remove(BIG)
    assert [one.job_id for one in turns.next(lambda _: 10)] == [BIG, BIG]


def test_what_ended_or_could_not_be_sent() -> None:
    turns = Turns()
    first, second, third = add(turns, 3, BIG)
    turns.end(first.key)
    assert turns.next(lambda _: 1) == [second]
    turns.put_back(second.key)
    assert turns.next(lambda _: 1) == [second]
    turns.add(second)
    assert turns.end(second.key) == second
    turns.end(third.key)
    assert turns.next(lambda _: 9) == []
    assert (turns.waiting, turns.at_workers("direct_job.sketch"), turns.keys()) == (0, 0, [])


def test_nothing_is_remembered_of_what_has_ended() -> None:
    turns = Turns()
    for _ in range(50):
        job = uuid4()
        add(turns, 3, job, uuid4())
        take(turns, 4)
    assert not turns.next(lambda _: 1)
    assert {name: len(value) for name, value in vars(turns).items() if hasattr(value, "__len__") and len(value)} == {}


def test_a_queue_is_short() -> None:
    assert queue_length(2, 0.0) == 4
    assert queue_length(2, 100.0) == 8
    assert queue_length(100, 0.0) == 150
    assert queue_length(0, 0.0) == 12
    assert queue_length(2, 100_000.0) == 64


def test_kinds_that_share_workers_share_the_room() -> None:
    """With a room for each of them, a step would wait behind those of all kinds."""
    turns = Turns()
    add(turns, 10, BIG)
    add(turns, 10, BIG, kind=FRAME, workflow="frame")
    shared = [(frozenset({SKETCH, FRAME, "direct_job.caption"}), 4)]
    chosen = turns.next(lambda _: 6, shared)
    assert Counter(one.kind for one in chosen) == {SKETCH: 2, FRAME: 2}
    assert turns.next(lambda _: 6, [(shared[0][0], 0)]) == []


def test_users_have_equal_shares_of_shared_workers() -> None:
    """Also if one of them has steps of all kinds, and the other of one."""
    turns = Turns()
    add(turns, 20, BIG)
    add(turns, 20, BIG, kind=FRAME, workflow="frame")
    add(turns, 20, SMALL, BOB, kind=FRAME, workflow="frame")
    chosen = turns.next(lambda _: 20, [(frozenset({SKETCH, FRAME}), 12)])
    assert Counter(one.user_id for one in chosen) == {ALICE: 6, BOB: 6}


def test_a_kind_of_a_pool_has_its_own_room_too() -> None:
    """Only some workers of a pool may do it."""
    turns = Turns()
    add(turns, 10, BIG)
    add(turns, 10, BIG, kind=FRAME, workflow="frame")
    chosen = turns.next({SKETCH: 2, FRAME: 9}.__getitem__, [(frozenset({SKETCH, FRAME}), 8)])
    assert Counter(one.kind for one in chosen) == {SKETCH: 2, FRAME: 6}
