"""Whatever is asked of an account in whatever order, no micro-credit appears, vanishes or is spent twice.

The books are kept by a ledger that lets go of nothing; the account, which does, decides the same at every step.
"""

from datetime import UTC, datetime, timedelta
from functools import reduce
from uuid import UUID

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from services.credits.domain import account, decisions
from services.credits.domain.closed import captured_after, grant_after, outcome_after, refunded_after, reversal_after
from services.credits.domain.deadlines import ExtendHold, QuestionHold
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold, ReleaseHold, ReleaseOpenHold
from services.credits.domain.refunds import JobSpending, RefundJob
from services.credits.domain.reversals import ReverseGrant
from services.credits.handlers import ACCOUNT
from shared.contracts.credits import (
    CreditsGranted,
    GrantReversed,
    HoldCaptured,
    HoldDeclined,
    HoldPlaced,
    HoldReleased,
)
from shared.contracts.problem import Problem
from shared.eventstore.decider import decode_state, encode_state
from tests.unit.credits.full_ledger import Account, decide, evolve

USER = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
jobs = st.integers(min_value=1, max_value=6).map(lambda number: UUID(int=number))
amounts = st.integers(min_value=0, max_value=40)


def outcome(decided):
    """The events, or none and the refusal."""
    try:
        return decided(), None
    except Problem as problem:
        return [], problem.code


def without_days(events):
    """Days are of spend limits, which the old ledger does not have: test_spending.py."""
    dated = (HoldPlaced, HoldReleased)
    return [replace(event, day=None) if isinstance(event, dated) else event for event in events]


class AccountMachine(RuleBasedStateMachine):
    """Random commands, a clock that only goes forward, and every earlier command sent again at any time."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.account = Account()
        self.open = account.Account()
        self.history = []
        self.sent = []

    def send(self, command):
        before = self.account
        events, refusal = outcome(lambda: decide(command, before))
        decided, code = outcome(lambda: self.decided(command))
        assert (without_days(decided), code) == (events, refusal), "decided as by the ledger that knows all"
        self.account = reduce(evolve, events, before)
        self.open = reduce(account.evolve, events, self.open)
        self.history += events
        if events:
            self.sent.append(command)
        return events

    def decided(self, command):
        """By the account without its closed grants and holds, which gets the command's own as an argument."""
        if isinstance(command, GrantCredits):
            grant = grant_after(None, self.history, command.grant_id)
            return decisions.decide(command, self.open, grant=grant)
        if isinstance(command, ReverseGrant):
            grant = grant_after(None, self.history, command.grant_id)
            reversal = reversal_after(None, self.history, command.reversal_id)
            return decisions.decide(command, self.open, grant=grant, reversal=reversal)
        if isinstance(command, RefundJob):
            grant = grant_after(None, self.history, command.grant_id)
            captured = captured_after(0, self.history, command.job_id)
            spending = JobSpending(captured, refunded_after(0, self.history, command.job_id))
            return decisions.decide(command, self.open, grant=grant, spending=spending)
        return decisions.decide(command, self.open, hold=outcome_after(None, self.history, command.job_id))

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
        grant_id = UUID(int=1000 + self.open.grant_count)
        events = self.send(GrantCredits(grant_id, USER, amount, "test", priority, expires, None, self.now))
        assert any(isinstance(event, CreditsGranted) for event in events), "a new grant is always recorded"

    @rule(job=jobs, amount=amounts)
    def place(self, job, amount):
        available = self.account.available(self.now)
        has_hold = job in self.account.holds
        events = self.send(PlaceHold(USER, job, amount, self.now))
        if not has_hold:
            expected = HoldPlaced if amount <= available else HoldDeclined
            assert isinstance(events[-1], expected), f"{amount} of {available} gave {events}"

    @rule(job=jobs, amount=amounts)
    def capture(self, job, amount):
        self.send(CaptureHold(USER, job, amount, self.now))

    @rule(job=jobs)
    def release(self, job):
        self.send(ReleaseHold(USER, job, self.now))

    @rule(job=jobs)
    def release_if_open(self, job):
        self.send(ReleaseOpenHold(USER, job, self.now))

    @rule(job=jobs)
    def ask_about_a_hold(self, job):
        """It moves no credits, and repeats no question."""
        command = QuestionHold(USER, job, self.now, self.now + timedelta(hours=5))
        for event in decisions.decide(command, self.open):
            self.open = account.evolve(self.open, event)
            self.account = evolve(self.account, event)
            self.history.append(event)
        assert decisions.decide(command, self.open) == []

    @rule(job=jobs, hours=st.integers(min_value=1, max_value=50))
    def extend_a_hold(self, job, hours):
        for event in decisions.decide(ExtendHold(USER, job, self.now + timedelta(hours=hours)), self.open):
            self.open = account.evolve(self.open, event)
            self.account = evolve(self.account, event)
            self.history.append(event)

    @rule(
        number=st.integers(min_value=1, max_value=8),
        place=st.integers(min_value=0, max_value=5),
        amount=st.none() | st.integers(min_value=1, max_value=50),
    )
    def reverse(self, number, place, amount):
        grant_id = UUID(int=1000 + place)
        before = self.account.grants.get(grant_id)
        command = ReverseGrant(UUID(int=2000 + number), grant_id, USER, amount, "returned", str(number), self.now)
        events = self.send(command)
        if events:
            reversal = events[-1]
            assert reversal.amount <= before.available, "only what was available"
            assert amount is None or reversal.amount + reversal.missing == amount

    @rule(number=st.integers(min_value=1, max_value=8), job=jobs, amount=st.integers(min_value=1, max_value=40))
    def refund(self, number, job, amount):
        self.send(RefundJob(UUID(int=3000 + number), USER, job, amount, "no good", str(number), self.now))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def the_same_again(self, data):
        command = data.draw(st.sampled_from(self.sent))
        again = msgspec.structs.replace(command, now=self.now)
        assert decide(again, self.account) == [], f"{command} was carried out before"
        assert self.decided(again) == [], f"{command} was carried out before"

    @invariant()
    def every_micro_credit_is_in_one_place(self):
        for grant in self.account.grants.values():
            pots = (grant.available, grant.held, grant.spent, grant.expired, grant.reversed)
            assert grant.amount == sum(pots), grant
            assert min(pots) >= 0, grant

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
    def no_job_gets_back_more_than_it_captured(self):
        for job in self.account.holds:
            refunds = [
                event.amount for event in self.history if isinstance(event, CreditsGranted) and event.job_id == job
            ]
            assert sum(refunds) <= self.account.holds[job].captured

    @invariant()
    def what_was_taken_back_is_what_reversals_say(self):
        amounts = [event.amount for event in self.history if isinstance(event, GrantReversed)]
        assert sum(amounts) == sum(grant.reversed for grant in self.account.grants.values()) == self.open.reversed

    @invariant()
    def a_hold_resolves_once(self):
        for job, hold in self.account.holds.items():
            of_job = [event for event in self.history if getattr(event, "job_id", None) == job]
            assert sum(isinstance(event, HoldPlaced | HoldDeclined) for event in of_job) == 1
            assert sum(isinstance(event, HoldCaptured) for event in of_job) <= 1
            assert sum(isinstance(event, HoldReleased) for event in of_job) <= 1
            moved = sum(event.amount for event in of_job if isinstance(event, HoldCaptured | HoldReleased))
            assert moved == (hold.amount if hold.status in {"captured", "released"} else 0)

    @invariant()
    def the_account_has_what_is_open_and_the_sums_of_the_rest(self):
        open_grants = [grant for grant in self.account.grants.values() if grant.available or grant.held]
        assert {
            grant.grant_id: (grant.available, grant.held, grant.spent, grant.expired) for grant in self.open.grants
        } == {g.grant_id: (g.available, g.held, g.spent, g.expired) for g in open_grants}
        assert self.open.available(self.now) == self.account.available(self.now)
        held = {job: hold for job, hold in self.account.holds.items() if hold.status == "held"}
        assert len(self.open.holds) == len(held)
        for job, hold in held.items():
            assert (self.open.holds[job].amount, self.open.holds[job].allocations) == (hold.amount, hold.allocations)

    @invariant()
    def every_micro_credit_ever_granted_is_in_the_sums(self):
        inside = sum(grant.available + grant.held for grant in self.open.grants)
        assert self.open.granted == inside + self.open.spent + self.open.expired + self.open.reversed
        assert self.open.granted == sum(grant.amount for grant in self.account.grants.values())
        assert self.open.spent == sum(grant.spent for grant in self.account.grants.values())

    def teardown(self):
        """History and a snapshot both give the same account."""
        assert reduce(evolve, self.history, Account()) == self.account
        assert reduce(account.evolve, self.history, account.Account()) == self.open
        stored = decode_state(ACCOUNT, encode_state(self.open))
        assert stored == self.open
        later = self.now + timedelta(hours=100)
        for now in (self.now, later):
            in_order = list(self.open.grants.in_order_of_use(now))
            assert list(stored.grants.in_order_of_use(now)) == in_order, "the orders follow from the grants"
            assert [grant.grant_id for grant in in_order] == [grant.grant_id for grant in self.account.spendable(now)]
            assert stored.grants.due(now) == self.open.grants.due(now)


class TestAccount(AccountMachine.TestCase):
    settings = settings(max_examples=100, stateful_step_count=40)
