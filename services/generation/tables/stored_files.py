"""The table of the files that steps have stored, filled from storage's events.

A worker's result only states a file's path; id, URL, type, size and sha256 come from this table. A result that arrives
before storage's event waits for it for up to WAIT_SECONDS, and is then redelivered.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID

from shared.backoff import Backoff
from shared.contracts.generation import Output
from shared.contracts.storage import AssetStored
from shared.eventstore import EventStore

RETENTION = timedelta(days=7)
"""More than all attempts of a step take, with their backoff."""
WAIT_SECONDS = 1.5
"""How long `get` waits for missing files. Storage's events arrive within a few hundredths of a second."""
ROWS_PER_DELETE = 10_000

INSERT_FILE: LiteralString = """
insert into stored_files (path, sid, asset_id, url, mime_type, sha256, size, stored_at)
values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (path) do nothing"""
SELECT_FILES_OF_STEP: LiteralString = """
select path, asset_id, url, mime_type, sha256, size from stored_files where sid = %s and path = any(%s)"""
DELETE_OLD_FILES: LiteralString = """
delete from stored_files where path in (
  select path from stored_files where stored_at < clock_timestamp() - %s::interval order by stored_at limit %s)"""


class UnknownFile(Exception):  # noqa: N818 - names what was not found
    """Storage has no event of a file that a result names: it has not arrived, or there is no such file."""


class StoredFiles:
    """`public_url`: the edge's; the base of URLs in events of earlier releases, which had none."""

    def __init__(self, store: EventStore, public_url: str) -> None:
        self._store, self._public_url = store, public_url.rstrip("/")

    async def add(self, event: AssetStored, recorded_at: datetime) -> None:
        """Idempotent. Ignores files that no step stored."""
        if event.sid is None:
            return
        url = event.url or f"{self._public_url}/assets/{event.asset_id}/content"
        row = (event.path, event.sid, event.asset_id, url, event.mime_type, event.sha256, event.size, recorded_at)
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_FILE, row)

    async def get(self, sid: UUID, paths: Sequence[str]) -> dict[str, Output]:
        """The step's files, by path. Raises UnknownFile if one is missing after WAIT_SECONDS."""
        loop = asyncio.get_running_loop()
        until, pauses = loop.time() + WAIT_SECONDS, Backoff("files", first=0.01, longest=0.2)
        while True:
            rows = await self._store.pool.rows(SELECT_FILES_OF_STEP, (sid, list(paths))) if paths else []
            if len(rows) == len(set(paths)):
                return {row[0]: _output(*row) for row in rows}
            if loop.time() >= until:
                missing = sorted(set(paths) - {row[0] for row in rows})
                raise UnknownFile(f"storage has no event of {missing[0]}")
            pauses.failures += 1
            await asyncio.sleep(pauses.next_pause())

    async def delete_old(self) -> None:
        """Deletes up to ROWS_PER_DELETE files that are older than RETENTION."""
        async with self._store.pool.connection() as connection:
            await connection.execute(DELETE_OLD_FILES, (RETENTION, ROWS_PER_DELETE))


def _output(path: str, asset_id: int, url: str, mime_type: str, sha256: str, size: int) -> Output:
    return Output(kind="asset", asset_id=asset_id, url=url, path=path, mime_type=mime_type, sha256=sha256, size=size)
