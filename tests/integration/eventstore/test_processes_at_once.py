"""Several operating system processes, each with writers and a tailer, on one store."""

import asyncio
import json
import sys

import psycopg

from shared.eventstore import EventStore
from tests.integration.eventstore.writer_and_tailer import EVENTS_PER_STREAM
from tests.support.patience import PATIENCE

PROCESSES, STREAMS = 3, 40


async def test_every_tailer_reads_the_same_sequence(store: EventStore, sql: psycopg.Connection) -> None:
    """While all of them write: every event once, in the order of positions."""
    total = PROCESSES * STREAMS * EVENTS_PER_STREAM
    arguments = (sys.executable, "-m", "tests.integration.eventstore.writer_and_tailer", store.dsn, STREAMS, total)
    async with asyncio.timeout(PATIENCE):
        processes = [
            await asyncio.create_subprocess_exec(*map(str, arguments), stdout=asyncio.subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        outputs = [(await process.communicate())[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES

    recorded = [
        [position, str(stream), version]
        for position, stream, version in sql.execute(
            "select position, stream_id, version from events order by position"
        )
    ]
    assert len(recorded) == total
    for output in outputs:
        assert json.loads(output.splitlines()[-1]) == recorded
    for stream in {event[1] for event in recorded}:
        assert [version for _, of, version in recorded if of == stream] == list(range(1, EVENTS_PER_STREAM + 1))
