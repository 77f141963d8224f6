"""How far storage has come with packages, from its events: for their owners to look at.

No decision depends on it, so it is no event of this service. A row is of the last attempt that was heard of; which
attempt counts, the package's state says.
"""

from typing import LiteralString
from uuid import UUID

from shared.contracts.storage import PackageProgressed
from shared.eventstore import EventStore

UPSERT_PROGRESS: LiteralString = """
insert into package_progress as p (package_id, attempt, phase, files, of_files, bytes, size, epoch, version)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (package_id) do update
set attempt = excluded.attempt, phase = excluded.phase, files = excluded.files, of_files = excluded.of_files,
    bytes = excluded.bytes, size = excluded.size, epoch = excluded.epoch, version = excluded.version
where (excluded.epoch, excluded.attempt, excluded.version) > (p.epoch, p.attempt, p.version)"""
SELECT_PROGRESS: LiteralString = """
select phase, files, of_files, bytes, size from package_progress where package_id = %s and attempt = %s"""


class PackageProgress:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, event: PackageProgressed, epoch: int, version: int) -> None:
        """Records what an event says. Idempotent; an event that comes again after a later one changes nothing.

        `epoch` and `version` are the event's, in its own stream of storage.
        """
        numbers = (event.files, event.of, event.bytes, event.size)
        row = (event.package_id, event.attempt, event.phase, *numbers, epoch, version)
        async with self._store.pool.connection() as connection:
            await connection.execute(UPSERT_PROGRESS, row)

    async def of(self, package_id: UUID, attempt: int) -> PackageProgressed | None:
        """What was heard last of this attempt; None while it waits. Raises StoreUnavailable."""
        rows = await self._store.pool.rows(SELECT_PROGRESS, (package_id, attempt))
        return next((PackageProgressed(package_id, attempt, *row) for row in rows), None)
