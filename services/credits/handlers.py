"""Command → account: load, decide, append; decided again when another command was faster."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from services.credits.domain.account import Account, evolve
from services.credits.domain.decisions import Command, decide
from shared.eventstore import Context, Decider, EventStore, Handled

ACCOUNT: Decider[Account] = Decider(
    name="account", initial=Account(), evolve=evolve, state_type=Account, snapshot_every=200
)
"""The stream id of an account is its user's id."""


class Ledger:
    """All accounts, for this process. `clock` gives the time that commands carry."""

    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._store = store
        self._turns = WeakValueDictionary[UUID, asyncio.Lock]()

    async def carry_out(self, command: Command, context: Context) -> Handled[Account]:
        """Raises what `decide` raises.

        One command per account at a time: a user's many jobs would only send each other back to the start. What
        another replica does meanwhile is settled by the stream's version, as ever.
        """
        turn = self._turns.setdefault(command.user_id, asyncio.Lock())
        async with turn:
            return await self._store.handle(ACCOUNT, command.user_id, lambda account: decide(command, account), context)
