"""Commands on accounts: load, look up closed grants and holds, decide, append; retried on a version conflict."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from services.credits.closed import ClosedGrantsAndHolds
from services.credits.domain.account import Account, evolve
from services.credits.domain.closed import GrantTerms, HoldOutcome, ReversalTerms
from services.credits.domain.deadlines import ExtendHold, QuestionHold
from services.credits.domain.decisions import (
    NOTHING_SPENT,
    Command,
    GrantCredits,
    PlaceHold,
    ReleaseOpenHold,
    decide,
    hold_of,
)
from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from services.credits.domain.spending import SetLimits
from shared.contracts.event import Event
from shared.eventstore import Context, Decider, EventStore, Handled, Loaded

ACCOUNT: Decider[Account] = Decider(
    name="account", initial=Account(), evolve=evolve, state_type=Account, state_version=5, snapshot_every=200
)
"""The stream id of an account is its user's id."""


class CommandHandlers:
    """`clock` returns the time that commands carry."""

    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.closed = ClosedGrantsAndHolds(store)
        self._store = store
        self._locks = WeakValueDictionary[UUID, asyncio.Lock]()

    async def account(self, user_id: UUID) -> Account:
        """A user's account as it is; an empty one for a user without one."""
        return (await self._store.load(ACCOUNT, user_id)).state

    async def handle(self, command: Command, context: Context) -> Handled[Account]:
        """Raises what `decide` raises.

        Commands on one account are serialised per process, to avoid version conflicts under contention; across
        replicas, the stream's version detects them.
        """
        lock = self._locks.setdefault(command.user_id, asyncio.Lock())
        async with lock:
            decision = _Decision(self.closed, command)
            return await self._store.handle(
                ACCOUNT, command.user_id, decision.decide, context, look_up=decision.look_up
            )


class _Decision:
    """One command, with what was looked up for it because the account's state does not have it."""

    def __init__(self, closed: ClosedGrantsAndHolds, command: Command) -> None:
        self._closed, self._command = closed, command
        self._grant: GrantTerms | None = None
        self._hold: HoldOutcome | None = None
        self._reversal: ReversalTerms | None = None
        self._spending = NOTHING_SPENT

    async def look_up(self, loaded: Loaded[Account]) -> bool:
        """Looks up what the decision needs and the account's state does not have.

        False if the hold turns out to be open: the loaded state is stale.
        """
        account, command = loaded.state, self._command
        match command:
            case GrantCredits(grant_id=grant_id, user_id=user_id):
                if account.grants.get(grant_id) is None and account.grant_count > len(account.grants):
                    self._grant = await self._closed.grant(user_id, grant_id, loaded.position)
                return True
            case ReverseGrant(grant_id=grant_id, user_id=user_id):
                if account.grants.get(grant_id) is None:
                    self._grant = await self._closed.grant(user_id, grant_id, loaded.position)
                if account.reversal_count:
                    self._reversal = await self._closed.reversal(user_id, command.reversal_id, loaded.position)
                return True
            case RefundJob(grant_id=grant_id, user_id=user_id):
                self._grant = await self._closed.grant(user_id, grant_id, loaded.position)
                self._spending = await self._closed.spending(user_id, command.job_id, loaded.position)
                return True
            case ReleaseOpenHold() | QuestionHold() | ExtendHold() | SetLimits():
                return True
            case _:
                self._hold = None
                if account.holds.get(hold_of(command)) is None and account.hold_count > len(account.holds):
                    self._hold = await self._closed.hold(command.user_id, hold_of(command), loaded.position)
                if isinstance(command, PlaceHold) and command.hold_id is not None and account.spending.limits_jobs:
                    self._spending = await self._closed.spending(command.user_id, command.job_id, loaded.position)
                return self._hold is None or self._hold.status != "held"

    def decide(self, account: Account) -> list[Event]:
        return decide(
            self._command,
            account,
            grant=self._grant,
            hold=self._hold,
            reversal=self._reversal,
            spending=self._spending,
        )
