"""Spend limits: which hold is over which limit, what a day is, and when credits are low."""

from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.credits.domain.account import Account, evolve
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold, ReleaseHold, decide
from services.credits.domain.refunds import JobSpending
from services.credits.domain.spending import SetLimits
from shared.contracts.credits import CreditsLow, HoldDeclined, HoldPlaced, SpendLimit, SpendLimitsSet
from shared.contracts.event import Event
from tests.support.specification import Aggregate, Specification

USER = UUID(int=1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
TOMORROW = NOW + timedelta(hours=12)
"""00:00 of the next day."""


def give(amount: int, now: datetime = NOW, expires: datetime | None = None, number: int = 10) -> GrantCredits:
    return GrantCredits(UUID(int=number), USER, amount, "test", 0, expires, None, now)


def place(amount: int, job: int = 100, now: datetime = NOW, hold: UUID | None = None) -> PlaceHold:
    return PlaceHold(USER, UUID(int=job), amount, now, hold)


def capture(amount: int, job: int = 100, now: datetime = NOW) -> CaptureHold:
    return CaptureHold(USER, UUID(int=job), amount, now)


def release(job: int = 100, now: datetime = NOW) -> ReleaseHold:
    return ReleaseHold(USER, UUID(int=job), now)


def limited(
    daily: int | None = None, per_job: int | None = None, low: int | None = None, now: datetime = NOW
) -> SetLimits:
    return SetLimits(USER, "user", daily, per_job, low, now)


def limited_by_operator(daily: int | None = None, per_job: int | None = None) -> SetLimits:
    return SetLimits(USER, "operator", daily, per_job, None, NOW)


def account(*commands: object) -> Specification:
    """An account with 100 micro-credits, after these commands."""
    return Aggregate(Account(), evolve, decide).given().after(give(100), *commands)


def over(specification: Specification, command: PlaceHold) -> SpendLimit | None:
    """The limit that a hold is declined for; None for one that is placed."""
    [event] = specification.when(command).events
    if isinstance(event, HoldDeclined):
        assert event.limit is not None, "it is declined for a limit, not for want of credits"
        return event.limit
    assert isinstance(event, HoldPlaced)
    return None


BY_DAY = limited(daily=10)
ACCEPTED = {
    "a job of exactly the limits": ([limited(daily=10, per_job=10)], place(10)),
    "jobs that are the daily limit together": ([BY_DAY, place(6)], place(4, 101)),
    "what a failed job has given back": ([BY_DAY, place(10), release()], place(10, 101)),
    "what a job has not needed": ([BY_DAY, place(10), capture(3)], place(7, 101)),
    "a job of the next day": ([BY_DAY, place(10)], place(10, 101, TOMORROW)),
    "a job that costs nothing, also when nothing is left": ([BY_DAY, place(10)], place(0, 101)),
    "a job that costs nothing, where nothing may be spent": ([limited(daily=0, per_job=0)], place(0)),
    "a job after the limit is removed": ([BY_DAY, place(10), limited()], place(10, 101)),
    "a job by a raised limit, with what was held before": ([BY_DAY, place(10), limited(daily=15)], place(5, 101)),
}
REFUSED = {
    "a job over the daily limit": ([BY_DAY], place(11), SpendLimit("daily", "user", 10, 10)),
    "a job over what is left today": ([BY_DAY, place(6)], place(5, 101), SpendLimit("daily", "user", 10, 4)),
    "a job after what was spent": (
        [BY_DAY, place(6), capture(6)],
        place(5, 101),
        SpendLimit("daily", "user", 10, 4),
    ),
    "what was held before the limit was set": ([place(8), BY_DAY], place(3, 101), SpendLimit("daily", "user", 10, 2)),
    "a job over the limit per job": ([limited(per_job=5)], place(6), SpendLimit("per_job", "user", 5, 5)),
    "a job over the operator's limit": (
        [limited(daily=10), limited_by_operator(daily=5)],
        place(6),
        SpendLimit("daily", "operator", 5, 5),
    ),
    "a job over the user's limit, which is lower": (
        [limited(daily=5), limited_by_operator(daily=10)],
        place(6),
        SpendLimit("daily", "user", 5, 5),
    ),
    "the operator's limit stays when the user removes theirs": (
        [limited(daily=5), limited_by_operator(daily=10), limited()],
        place(11),
        SpendLimit("daily", "operator", 10, 10),
    ),
    "a job over two limits: that with less left": (
        [limited(daily=10, per_job=5), place(5), place(3, 101)],
        place(6, 102),
        SpendLimit("daily", "user", 10, 2),
    ),
    "a limit below what was held has nothing left, not less": (
        [place(8), limited(daily=5)],
        place(1, 101),
        SpendLimit("daily", "user", 5, 0),
    ),
    "what yesterday's job gives back adds nothing to today": (
        [BY_DAY, place(10), place(10, 101, TOMORROW), release(now=TOMORROW)],
        place(1, 102, TOMORROW),
        SpendLimit("daily", "user", 10, 0),
    ),
    "a clock that is behind does not begin a new day": (
        [BY_DAY, place(10, now=TOMORROW)],
        place(1, 101, NOW),
        SpendLimit("daily", "user", 10, 0),
    ),
    "a resume counts in its day": (
        [BY_DAY, place(6), capture(2)],
        place(9, hold=UUID(int=200)),
        SpendLimit("daily", "user", 10, 8),
    ),
    "limits come before too few credits": ([limited(per_job=5)], place(101), SpendLimit("per_job", "user", 5, 5)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_job_within_the_limits_is_held(name: str) -> None:
    commands, command = ACCEPTED[name]
    assert over(account(*commands), command) is None


@pytest.mark.parametrize("name", REFUSED)
def test_a_job_over_a_limit_is_declined_with_that_limit(name: str) -> None:
    commands, command, limit = REFUSED[name]
    assert over(account(*commands), command) == limit


def test_the_limit_per_job_is_of_all_its_rounds() -> None:
    """What earlier rounds have captured counts; what of it was refunded does not."""
    specification = account(limited(per_job=10), place(8), capture(6))
    resume = place(5, hold=UUID(int=200))
    [declined] = decide(resume, specification.state, spending=JobSpending(6))
    assert isinstance(declined, HoldDeclined)
    assert declined.limit == SpendLimit("per_job", "user", 10, 4)
    [placed] = decide(resume, specification.state, spending=JobSpending(6, refunded=1))
    assert isinstance(placed, HoldPlaced)


def test_a_hold_that_was_declined_for_a_limit_stays_declined() -> None:
    """A redelivery after the limit was raised places nothing; nor does one of a hold when a limit was set since."""
    assert account(limited(daily=5), place(6), limited(daily=50)).state.hold_count == 1
    account(place(6), limited(daily=5)).when(place(6)).then_nothing_happens()


def test_the_same_limits_again_are_no_event() -> None:
    specification = account().when(limited(daily=5, low=3))
    specification.then(SpendLimitsSet(USER, "user", 5, None, 3))
    specification.when(limited(daily=5, low=3)).then_nothing_happens()
    specification.when(limited_by_operator()).then_nothing_happens()
    specification.when(limited_by_operator(per_job=1)).then(SpendLimitsSet(USER, "operator", None, 1, None))


class Spender(RuleBasedStateMachine):
    """Holds of many rounds over days: an independent count of each day never exceeds a limit that was in force."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.account: Account = reduce(evolve, decide(give(10_000), Account()), Account())
        self.held: dict[int, tuple[date, int]] = {}
        self.days: dict[date, int] = {}
        self.limits = {"user": None, "operator": None}
        self.count = 0

    def send(self, command: Any) -> list[Event]:
        events = decide(command, self.account)
        self.account = reduce(evolve, events, self.account)
        return events

    @rule(hours=st.integers(1, 20))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(amount=st.none() | st.integers(0, 60), by_user=st.booleans())
    def limit(self, *, amount: int | None, by_user: bool) -> None:
        self.limits["user" if by_user else "operator"] = amount
        self.send(limited(amount) if by_user else limited_by_operator(amount))

    @rule(amount=st.integers(0, 40))
    def hold(self, amount: int) -> None:
        self.count += 1
        today = self.now.date()
        limits = [limit for limit in self.limits.values() if limit is not None]
        total = self.days.get(today, 0) + amount
        [event] = self.send(place(amount, self.count, self.now))
        assert isinstance(event, HoldPlaced) == (not amount or all(total <= limit for limit in limits))
        if isinstance(event, HoldPlaced):
            self.days[today] = total
            self.held[self.count] = (today, amount)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.held)))
        day, amount = self.held.pop(job)
        captured = data.draw(st.integers(0, amount))
        self.send(capture(captured, job, self.now))
        self.days[day] -= amount - captured

    @invariant()
    def what_was_spent_today_is_counted_exactly(self) -> None:
        assert self.account.spending.spent(self.now) == self.days.get(self.now.date(), 0)


TestSpender = Spender.TestCase


def lows(specification: Specification) -> list[CreditsLow]:
    return [event for event in specification.events if isinstance(event, CreditsLow)]


def test_credits_are_low_once_until_as_much_is_available_again() -> None:
    specification = account(limited(low=50))
    assert lows(specification.when(place(50))) == [], "as much as the threshold is not below it"
    assert lows(specification.when(place(1, 101))) == [CreditsLow(USER, 49, 50)]
    assert lows(specification.when(place(9, 102), release(102))) == []
    assert lows(specification.when(release(101), place(1, 103))) == [CreditsLow(USER, 49, 50)]
    assert lows(specification.when(give(1, number=11), place(1, 104))) == [CreditsLow(USER, 49, 50)]


def test_a_threshold_above_what_is_available_is_told_at_once() -> None:
    """Also a new one; the limits may change without a second notice."""
    specification = account()
    assert lows(specification.when(limited(low=101))) == [CreditsLow(USER, 100, 101)]
    assert lows(specification.when(limited(daily=1, low=101))) == []
    assert lows(specification.when(limited(daily=1, low=102))) == [CreditsLow(USER, 100, 102)]
    assert lows(specification.when(limited())) == []


def test_what_has_expired_is_not_available() -> None:
    """The expiry is recorded before the notice, which so comes once."""
    specification = account(give(50, expires=LATER, number=11), limited(low=120))
    assert lows(specification.when(place(1, now=LATER))) == [CreditsLow(USER, 99, 120)]
    assert lows(specification.when(place(1, 101, LATER))) == []
    specification = account(give(50, expires=LATER, number=11))
    assert lows(specification.when(limited(low=120, now=LATER))) == [CreditsLow(USER, 100, 120)]
    assert lows(specification.when(limited(daily=9, low=120, now=LATER), place(1, now=LATER))) == []


def test_a_command_that_changes_nothing_tells_nothing() -> None:
    specification = account(limited(low=50), place(60))
    specification.when(place(60)).then_nothing_happens()
    specification.when(give(100)).then_nothing_happens()
