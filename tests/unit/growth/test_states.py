"""What an aggregate has been through costs nothing later: twice the history is twice the fold, and no larger a state.

Bytes are counted beside steps: a dictionary that is copied for each event is one step, and many bytes.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import UUID

import pytest

from services.credits.domain.account import Account
from services.credits.domain.decisions import CaptureHold, GiveGrant, PlaceHold, ReleaseHold, decide
from services.credits.handlers import ACCOUNT
from shared.contracts.event import Event
from shared.eventstore import Decider
from shared.eventstore.decider import encode_state
from tests.support.steps import folding_bytes, steps

USER = UUID(int=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_MOST = 2.2


class Life:
    """An account, and what has happened to it."""

    def __init__(self) -> None:
        self.account, self.events = Account(), list[Event]()

    def give(self, number: int, amount: int = 1_000_000) -> None:
        self._do(GiveGrant(UUID(int=10**9 + number), USER, amount, "shop", 100, None, f"order {number}", NOW))

    def place(self, number: int, amount: int = 1_000_000) -> None:
        self._do(PlaceHold(USER, UUID(int=number), amount, NOW))

    def capture(self, number: int, amount: int = 1_000_000) -> None:
        self._do(CaptureHold(USER, UUID(int=number), amount, NOW))

    def release(self, number: int) -> None:
        self._do(ReleaseHold(USER, UUID(int=number), NOW))

    def _do(self, command: Any) -> None:
        events = decide(command, self.account)
        assert events, "all that is done here is new"
        self.account = reduce(ACCOUNT.evolve, events, self.account)
        self.events += events


def spent(size: int) -> Life:
    """Each grant pays for one job and is used up, every third job fails."""
    life = Life()
    for number in range(size):
        life.give(number)
        life.place(number)
        if number % 3:
            life.capture(number, 600_000)
        else:
            life.release(number)
        life.place(10**6 + number, life.account.available(NOW))
        life.capture(10**6 + number, life.account.holds[UUID(int=10**6 + number)].amount)
    return life


def declined(size: int) -> Life:
    life = Life()
    for number in range(size):
        life.place(number)
    return life


def of_one_grant(size: int) -> Life:
    """Many jobs that a large grant pays for."""
    life = Life()
    life.give(0, 10**12)
    for number in range(size):
        life.place(number)
        life.capture(number)
    return life


def account(make: Callable[[int], Life]) -> Callable[[int], list[Event]]:
    return lambda size: make(size).events


LIVES: dict[str, tuple[Decider[Any], Callable[[int], list[Event]], int]] = {
    "an account whose grants are spent": (ACCOUNT, account(spent), 300),
    "an account whose holds are declined": (ACCOUNT, account(declined), 1_000),
    "an account of one grant and many jobs": (ACCOUNT, account(of_one_grant), 500),
}
"""The aggregate, its history by size, and a size."""


def folded(decider: Decider[Any], events: list[Event]) -> Any:
    return reduce(decider.evolve, events, decider.initial)


@pytest.mark.parametrize("life", LIVES)
def test_twice_the_history_is_twice_the_fold(life: str) -> None:
    decider, make, size = LIVES[life]
    once, twice = make(size), make(2 * size)
    assert steps(lambda: folded(decider, twice)) <= AT_MOST * steps(lambda: folded(decider, once))
    copied = [folding_bytes(decider.evolve, decider.initial, events) for events in (once, twice)]
    assert copied[1] <= AT_MOST * copied[0], f"{copied} bytes"


@pytest.mark.parametrize("life", LIVES)
def test_what_is_over_leaves_the_state(life: str) -> None:
    """But for the digits of its counters."""
    decider, make, size = LIVES[life]
    once, twice = (len(encode_state(folded(decider, make(each)))) for each in (size, 2 * size))
    assert twice <= once + 16


def test_an_account_is_as_large_as_what_is_open_of_it() -> None:
    """A hundred grants and a hundred jobs at once, after a thousand others of each."""
    life = spent(1_000)
    for number in range(100):
        life.give(10**7 + number)
    for number in range(100):
        life.place(10**7 + number, 500_000)
    assert len(life.account.grants) == len(life.account.holds) == 100
    assert len(encode_state(life.account)) <= 40 * 1024


def test_a_command_costs_the_same_whatever_an_account_has_been_through() -> None:
    def cost(life: Life) -> int:
        life.give(10**7)
        account = life.account

        def commands() -> None:
            placed = reduce(ACCOUNT.evolve, decide(PlaceHold(USER, UUID(int=5), 10, NOW), account), account)
            reduce(ACCOUNT.evolve, decide(CaptureHold(USER, UUID(int=5), 4, NOW), placed), placed)

        commands()
        return steps(commands)

    assert cost(spent(1_000)) <= 1.1 * cost(spent(10))
