"""Command → account: load, look up closed grants and holds, decide, append; retried on a version conflict."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from services.credits.domain.account import Account, evolve
from services.credits.domain.decisions import Command, GiveGrant, ReleaseOpenHold, decide
from services.credits.domain.outcomes import GivenGrant, HoldOutcome
from services.credits.outcomes import Outcomes
from shared.contracts.event import Event
from shared.eventstore import Context, Decider, EventStore, Handled, Loaded

ACCOUNT: Decider[Account] = Decider(
    name="account", initial=Account(), evolve=evolve, state_type=Account, state_version=2, snapshot_every=200
)
"""The stream id of an account is its user's id."""


class Ledger:
    """All accounts, for this process. `clock` gives the time that commands carry."""

    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.outcomes = Outcomes(store)
        self._store = store
        self._turns = WeakValueDictionary[UUID, asyncio.Lock]()

    async def carry_out(self, command: Command, context: Context) -> Handled[Account]:
        """Raises what `decide` raises.

        Commands on one account are serialised per process, to avoid version conflicts under contention; across
        replicas, the stream's version detects them.
        """
        turn = self._turns.setdefault(command.user_id, asyncio.Lock())
        async with turn:
            decision = _Decision(self.outcomes, command)
            return await self._store.handle(
                ACCOUNT, command.user_id, decision.decide, context, look_up=decision.look_up
            )


class _Decision:
    """One command, with the closed grant or hold that was looked up for it."""

    def __init__(self, outcomes: Outcomes, command: Command) -> None:
        self._outcomes, self._command = outcomes, command
        self._grant: GivenGrant | None = None
        self._hold: HoldOutcome | None = None

    async def look_up(self, loaded: Loaded[Account]) -> bool:
        """Looks up the command's grant or hold if the account's state no longer has it.

        False if the hold turns out to be open: the loaded state is stale.
        """
        account, command = loaded.state, self._command
        match command:
            case GiveGrant(grant_id=grant_id, user_id=user_id):
                if account.grants.get(grant_id) is None and account.given > len(account.grants):
                    self._grant = await self._outcomes.grant(user_id, grant_id, loaded.position)
                return True
            case ReleaseOpenHold():
                return True
            case _:
                self._hold = None
                if account.holds.get(command.job_id) is None and account.decided > len(account.holds):
                    self._hold = await self._outcomes.hold(command.user_id, command.job_id, loaded.position)
                return self._hold is None or self._hold.status != "held"

    def decide(self, account: Account) -> list[Event]:
        return decide(self._command, account, grant=self._grant, hold=self._hold)
