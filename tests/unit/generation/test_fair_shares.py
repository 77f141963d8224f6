"""Who starts next: a pure function of what is open."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.fair_shares import LEAST_SHARE, OpenJob, next_starts, shares

ALICE, BOB = UUID(int=1), UUID(int=2)


def job(number: int, user: UUID = ALICE, total: int = 1000, **more: int) -> OpenJob:
    return OpenJob(UUID(int=1000 + number), user, total, **more)


@st.composite
def open_jobs(draw: st.DrawFn) -> list[OpenJob]:
    count = draw(st.integers(1, 12))
    jobs = []
    for number in range(count):
        total = draw(st.integers(1, 60))
        started = draw(st.integers(0, total))
        ended = draw(st.integers(0, started))
        user = UUID(int=draw(st.integers(1, 5)))
        priority, served = draw(st.integers(0, 100)), draw(st.integers(0, 20))
        jobs.append(job(number, user, total, started=started, ended=ended, priority=priority, served=served))
    return jobs


WINDOW, MOST = st.integers(1, 20), st.integers(1, 60)


def after(jobs: Sequence[OpenJob], starts: Sequence[OpenJob]) -> list[OpenJob]:
    return list({item.job_id: item for item in (*jobs, *starts)}.values())


@given(open_jobs(), WINDOW, MOST)
def test_each_start_is_a_jobs_next_one_and_within_its_window(jobs: list[OpenJob], window: int, most: int) -> None:
    jobs_by_id = {item.job_id: item for item in jobs}
    for start in next_starts(jobs, window, most):
        assert start.started == jobs_by_id[start.job_id].started + 1 <= start.total
        assert start.open <= window
        jobs_by_id[start.job_id] = start


@given(open_jobs(), WINDOW, MOST)
def test_it_is_the_same_each_time_and_nothing_is_left_to_start_afterwards(
    jobs: list[OpenJob], window: int, most: int
) -> None:
    starts = next_starts(jobs, window, most)
    assert starts == next_starts(jobs, window, most)
    assert next_starts(after(jobs, starts), window, most) == []


@given(open_jobs(), WINDOW, MOST)
def test_no_user_gets_more_than_another_who_could_use_it(jobs: list[OpenJob], window: int, most: int) -> None:
    """A user who may start generations has no more open than any user with unmet demand."""
    starts = next_starts(jobs, window, most)
    now = after(jobs, starts)
    open_of: Counter[UUID] = Counter()
    wants: Counter[UUID] = Counter()
    for item in now:
        open_of[item.user_id] += item.open
        wants[item.user_id] += item.room(window)
    users = len(open_of)
    for served in {start.user_id for start in starts}:
        for user, demand in wants.items():
            if demand:
                # Where `most` can't be divided evenly, some have one more.
                assert open_of[served] <= max(open_of[user] + 1, LEAST_SHARE), (users, served, user)


@given(open_jobs(), WINDOW, MOST)
def test_what_there_is_is_given_out(jobs: list[OpenJob], window: int, most: int) -> None:
    """Work is left undone only where its job's window is full, or all that may be open is given to users."""
    now = after(jobs, next_starts(jobs, window, most))
    if any(item.room(window) for item in now):
        demands = Counter[UUID]()
        for item in now:
            demands[item.user_id] += item.open + item.room(window)
        assert sum(shares(demands, most).values()) >= min(most, sum(demands.values()))


@given(open_jobs(), WINDOW)
def test_every_user_may_always_have_some(jobs: list[OpenJob], window: int) -> None:
    """However much others hold, and however little there is."""
    starts = next_starts(jobs, window, 1)
    now = after(jobs, starts)
    for user in {item.user_id for item in jobs}:
        own = [item for item in now if item.user_id == user]
        demand = sum(item.room(window) for item in own)
        assert not demand or sum(item.open for item in own) >= LEAST_SHARE


@given(st.lists(st.integers(0, 200), min_size=1, max_size=20), st.integers(0, 500))
def test_shares_are_no_more_than_there_is_or_was_asked_for(demands: list[int], most: int) -> None:
    given_out = shares(dict(enumerate(demands)), most)
    assert all(given_out[key] <= demand for key, demand in enumerate(demands))
    assert sum(given_out.values()) <= max(most, LEAST_SHARE * len(demands))
    if sum(demands) <= most:
        assert given_out == dict(enumerate(demands))


def test_a_small_job_comes_before_what_is_left_of_a_large_one() -> None:
    large = job(1, ALICE, 10_000, started=60, ended=10)
    small = job(2, BOB, 1)
    starts = next_starts([large, small], 64, 256)
    assert starts[0].job_id == small.job_id
    assert [start.started for start in starts[1:]] == list(range(61, 75))


def test_users_begin_in_turn() -> None:
    """However many jobs one of them has."""
    many = [job(number, ALICE) for number in range(10)]
    starts = next_starts([*many, job(99, BOB)], 8, 16)
    assert [start.user_id for start in starts] == [ALICE, BOB] * 8


def test_a_users_job_of_higher_priority_comes_first_and_the_other_one_is_not_starved() -> None:
    """A point of priority is worth one start."""
    jobs = [job(1, priority=10), job(2, priority=30)]
    order = []
    for _ in range(60):
        (started,) = next_starts(jobs, 1000, 1)[:1]
        order.append(started.job_id.int - 1000)
        # It ends at once, so that there is room for one again.
        jobs = after(jobs, [msgspec.structs.replace(started, ended=started.started)])
    assert order[:20] == [2] * 20
    assert 1 in order[20:22]
    assert Counter(order)[1] >= 1


def test_jobs_of_equal_priority_take_turns() -> None:
    starts = next_starts([job(1), job(2), job(3)], 2, 6)
    assert [start.job_id.int - 1000 for start in starts] == [1, 2, 3, 1, 2, 3]
