"""Whatever is asked of an account in whatever order, no micro-credit appears, vanishes or is spent twice."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from uuid import UUID

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.credits.domain.account import Account, evolve
from services.credits.domain.decisions import CaptureHold, GiveGrant, PlaceHold, ReleaseHold, decide
from shared.contracts.credits import CreditsGranted, HoldCaptured, HoldDeclined, HoldPlaced, HoldReleased
from shared.contracts.problem import Problem

USER = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
jobs = st.integers(min_value=1, max_value=6).map(lambda number: UUID(int=number))
amounts = st.integers(min_value=0, max_value=40)


class Ledger(RuleBasedStateMachine):
    """Random commands, a clock that only goes forward, and every earlier command sent again at any time."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.account = Account()
        self.history = []
        self.sent = []

    def send(self, command):
        before = self.account
        try:
            events = decide(command, before)
        except Problem:
            return []
        self.account = reduce(evolve, events, before)
        self.history += events
        if events:
            self.sent.append(command)
        return events

    @rule(hours=st.integers(min_value=1, max_value=30))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)

    @rule(
        amount=st.integers(min_value=1, max_value=50),
        priority=st.integers(min_value=0, max_value=2),
        life=st.none() | st.integers(min_value=1, max_value=60),
    )
    def grant(self, amount, priority, life):
        expires = None if life is None else self.now + timedelta(hours=life)
        grant_id = UUID(int=1000 + len(self.account.grants))
        events = self.send(GiveGrant(grant_id, USER, amount, "test", priority, expires, None, self.now))
        assert any(isinstance(event, CreditsGranted) for event in events), "a new grant is always recorded"

    @rule(job=jobs, amount=amounts)
    def place(self, job, amount):
        available = self.account.available(self.now)
        known = job in self.account.holds
        events = self.send(PlaceHold(USER, job, amount, self.now))
        if not known:
            expected = HoldPlaced if amount <= available else HoldDeclined
            assert isinstance(events[-1], expected), f"{amount} of {available} gave {events}"

    @rule(job=jobs, amount=amounts)
    def capture(self, job, amount):
        self.send(CaptureHold(USER, job, amount, self.now))

    @rule(job=jobs)
    def release(self, job):
        self.send(ReleaseHold(USER, job, self.now))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def the_same_again(self, data):
        command = data.draw(st.sampled_from(self.sent))
        again = msgspec.structs.replace(command, now=self.now)
        assert decide(again, self.account) == [], f"{command} was carried out before"

    @invariant()
    def every_micro_credit_is_in_one_place(self):
        for grant in self.account.grants.values():
            assert grant.amount == grant.available + grant.held + grant.spent + grant.expired, grant
            assert min(grant.available, grant.held, grant.spent, grant.expired) >= 0, grant

    @invariant()
    def what_is_held_is_what_open_holds_hold(self):
        held = sum(grant.held for grant in self.account.grants.values())
        assert held == sum(part.amount for hold in self.account.holds.values() for part in hold.allocations)
        assert held == sum(hold.amount for hold in self.account.holds.values() if hold.status == "held")

    @invariant()
    def what_is_spent_is_what_jobs_captured(self):
        captured = sum(event.amount for event in self.history if isinstance(event, HoldCaptured))
        assert captured == sum(grant.spent for grant in self.account.grants.values())
        assert captured == sum(hold.captured for hold in self.account.holds.values())

    @invariant()
    def a_hold_resolves_once(self):
        for job, hold in self.account.holds.items():
            of_job = [event for event in self.history if getattr(event, "job_id", None) == job]
            assert sum(isinstance(event, HoldPlaced | HoldDeclined) for event in of_job) == 1
            assert sum(isinstance(event, HoldCaptured) for event in of_job) <= 1
            assert sum(isinstance(event, HoldReleased) for event in of_job) <= 1
            moved = sum(event.amount for event in of_job if isinstance(event, HoldCaptured | HoldReleased))
            assert moved == (hold.amount if hold.status in {"captured", "released"} else 0)

    def teardown(self):
        """History and a snapshot both give the same account."""
        assert reduce(evolve, self.history, Account()) == self.account
        assert msgspec.json.decode(msgspec.json.encode(self.account), type=Account) == self.account


class TestLedger(Ledger.TestCase):
    settings = settings(max_examples=50, stateful_step_count=30)
