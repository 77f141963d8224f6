"""Whose package is built next: one of a user at a time, and long ones never hold up a short one."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.storage.domain.package_turns import LONG, Build, next_builds

ALICE, BOB, CAROL = UUID(int=1), UUID(int=2), UUID(int=3)


def build(user: UUID, number: int, size: int = 5) -> Build:
    return Build(UUID(int=number), 1, user, size, number)


def numbers(builds: list[Build]) -> list[int]:
    return [item.number for item in builds]


def test_a_user_has_one_build_at_a_time():
    waiting = [build(ALICE, 1), build(ALICE, 2), build(BOB, 3)]
    assert numbers(next_builds(waiting, [], 4, {})) == [1, 3]
    assert numbers(next_builds(waiting, [build(ALICE, 0)], 4, {})) == [3]


def test_long_packages_leave_one_build_for_short_ones():
    waiting = [build(ALICE, 1, LONG), build(BOB, 2, LONG), build(CAROL, 3, LONG - 1)]
    assert numbers(next_builds(waiting, [], 2, {})) == [1, 3]
    assert numbers(next_builds(waiting, [build(UUID(int=9), 0, LONG)], 2, {})) == [3]
    assert numbers(next_builds(waiting, [], 1, {})) == [1], "with one build at a time, each waits for its turn"


def test_a_user_whose_long_package_waits_may_have_a_short_one():
    waiting = [build(ALICE, 1, LONG), build(ALICE, 2)]
    assert numbers(next_builds(waiting, [build(BOB, 0, LONG)], 2, {})) == [2]


def test_who_had_no_turn_for_the_longest_time_is_first():
    waiting = [build(ALICE, 1), build(BOB, 2), build(CAROL, 3)]
    assert numbers(next_builds(waiting, [], 1, {ALICE: 7, BOB: 3})) == [3]
    assert numbers(next_builds(waiting, [], 2, {ALICE: 7, BOB: 3})) == [3, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12),
    st.integers(1, 4),
    st.dictionaries(st.integers(0, 3), st.integers(0, 9)),
)
def test_the_bounds_hold_and_no_build_that_fits_is_left_idle(
    items: list[tuple[int, bool]], at_once: int, turns: dict[int, int]
):
    waiting = [build(UUID(int=user), number, LONG if is_long else 1) for number, (user, is_long) in enumerate(items)]
    last_turns = {UUID(int=user): turn for user, turn in turns.items()}
    chosen = next_builds(waiting, [], at_once, last_turns)
    users = [item.user_id for item in chosen]
    assert len(set(users)) == len(users) <= at_once
    assert sum(item.is_long for item in chosen) <= max(1, at_once - 1)
    assert next_builds([item for item in waiting if item not in chosen], chosen, at_once, last_turns) == []
