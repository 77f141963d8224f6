"""The files that steps have made, as storage tells of them: what a worker says of a file is not believed.

A worker names the path of each file that it stored. Its id, address, type, size and sha256 are taken from storage's own
event; a result that comes before that event waits for it, a moment in here, then by coming again.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

import msgspec

from services.generation.domain.generation.result_checks import MAX_OUTPUTS
from shared.backoff import Backoff
from shared.contracts.generation import Output, StepError
from shared.contracts.storage import AssetStored
from shared.contracts.work import WorkResult
from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import Consumer

CONSUMER_NAME = "generation-files-v1"
FILE_RETENTION = timedelta(days=7)
"""How long a file is remembered: no attempt lasts so long, retries and all."""
WAIT_SECONDS = 1.5
"""Seconds that a result waits in here. Storage's events arrive within a few hundredths of a second."""
FILES_PER_DELETE = 10_000

INSERT_FILE: LiteralString = """
insert into stored_files (path, sid, asset_id, url, mime_type, sha256, size, stored_at)
values (%b, %b, %b, %b, %b, %b, %b, %b) on conflict (path) do nothing"""
FILES_OF_STEP: LiteralString = """
select path, asset_id, url, mime_type, sha256, size from stored_files where sid = %b and path = any(%b)"""
DELETE_OLD_FILES: LiteralString = """
delete from stored_files where path in (
  select path from stored_files where stored_at < clock_timestamp() - %b::interval order by stored_at limit %b)"""


class UnknownFile(Exception):  # noqa: N818 - names what was found
    """Storage has not told of a file that a result names: not yet, or there is none."""


class StoredFiles:
    """`public_url` is where clients reach the edge: the address of files of a time when storage did not tell it."""

    def __init__(self, store: EventStore, public_url: str) -> None:
        self._store, self._public_url = store, public_url.rstrip("/")

    async def believed(self, result: WorkResult) -> WorkResult:
        """The result with nothing in it but what its worker can know; of files, what storage has told.

        A file whose sha256 is another than the worker's is a failed attempt. Raises UnknownFile.
        """
        paths = [output.path for output in result.outputs if _may_be_stored(output, result)]
        if len(result.outputs) > MAX_OUTPUTS:
            return result  # refused for that, whatever they are
        known = await self._wait_for(result.sid, [path for path in paths if path is not None])
        outputs: list[Output] = []
        for output in result.outputs:
            stored = known.get(output.path) if output.path is not None else None
            if stored is not None and output.sha256 not in (None, stored.sha256):
                message = f"The file {output.path} has another sha256 in storage than the worker says"
                error = StepError("INVALID_RESULT", message, retryable=False)
                return msgspec.structs.replace(result, outputs=[], error=error)
            outputs.append(stored if stored is not None else _bare(output))
        return msgspec.structs.replace(result, outputs=outputs)

    async def _wait_for(self, sid: UUID, paths: Sequence[str]) -> dict[str, Output]:
        loop = asyncio.get_running_loop()
        until, pauses = loop.time() + WAIT_SECONDS, Backoff("files", first=0.01, longest=0.2)
        while True:
            rows = await self._store.pool.rows(FILES_OF_STEP, (sid, list(paths))) if paths else []
            if len(rows) == len(set(paths)):
                return {row[0]: _output(*row) for row in rows}
            if loop.time() >= until:
                missing = sorted(set(paths) - {row[0] for row in rows})
                raise UnknownFile(f"storage has not told of {missing[0]}")
            pauses.failures += 1
            await asyncio.sleep(pauses.next_pause())

    async def keep(self, event: AssetStored, recorded: RecordedEvent) -> None:
        if event.sid is None:
            return
        url = event.url or f"{self._public_url}/assets/{event.asset_id}/content"
        row = (event.path, event.sid, event.asset_id, url, event.mime_type, event.sha256, event.size)
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_FILE, (*row, recorded.recorded_at))

    async def forget(self) -> None:
        """What nobody asks for any more, a part of it at a time."""
        async with self._store.pool.connection() as connection:
            await connection.execute(DELETE_OLD_FILES, (FILE_RETENTION, FILES_PER_DELETE))


def file_consumers(files: StoredFiles) -> list[Consumer]:
    async def on_file(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, AssetStored)
        await files.keep(recorded.event, recorded)

    return [Consumer(name=CONSUMER_NAME, owner="storage", events=(AssetStored,), handle=on_file)]


def _may_be_stored(output: Output, result: WorkResult) -> bool:
    """A path that is not the step's own is refused for that, and not waited for."""
    return output.kind == "asset" and f"/{result.job_id}/{result.gid}/{result.sid}/" in (output.path or "")


def names_files(result: WorkResult) -> bool:
    """Whether there is anything in it that storage can tell of."""
    return any(_may_be_stored(output, result) for output in result.outputs)


def bare(result: WorkResult) -> WorkResult:
    """A result without anything that its worker can't know."""
    return msgspec.structs.replace(result, outputs=[_bare(output) for output in result.outputs])


def _bare(output: Output) -> Output:
    """What a worker may say of itself."""
    match output.kind:
        case "asset":
            return Output(kind="asset", path=output.path)
        case "text":
            return Output(kind="text", text=output.text)
        case "json":
            return Output(kind="json", json=output.json)


def _output(path: str, asset_id: int, url: str, mime_type: str, sha256: str, size: int) -> Output:
    return Output(kind="asset", asset_id=asset_id, url=url, path=path, mime_type=mime_type, sha256=sha256, size=size)
