"""Turns finished generations into descriptions of the files that they made."""

from collections.abc import Iterator
from typing import Any

import msgspec

from services.storage import queries
from services.storage.domain.asset import DescribeAsset
from services.storage.handlers import Files
from shared.contracts.generation import GenerationCompleted, GenerationFailed, Output
from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import Consumer
from shared.telemetry import get_logger

GENERATIONS = "storage-generations-v1"

log = get_logger("storage")


def consumers(files: Files, store: EventStore) -> list[Consumer]:
    async def on_generation(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, GenerationCompleted | GenerationFailed), recorded.type
        gen_in_data, gen_out_data = event.gen_in_data, out_data(event)
        for output in made_files(event):
            assert output.asset_id is not None
            row = await queries.asset(store, output.asset_id)
            if row is None:
                log.warning("a generation names a file that isn't ours", gid=str(event.gid), asset_id=output.asset_id)
                continue
            command = DescribeAsset(output.asset_id, event.user_id, event.job_id, event.gid, gen_in_data, gen_out_data)
            context = recorded.context.caused(recorded.event_id, f"{GENERATIONS}:{output.asset_id}")
            await files.describe(row.path, command, context)

    return [
        Consumer(
            name=GENERATIONS, owner="generation", events=(GenerationCompleted, GenerationFailed), handle=on_generation
        )
    ]


def made_files(event: GenerationCompleted | GenerationFailed) -> Iterator[Output]:
    for step in event.outputs:
        for output in step.outputs:
            if output.kind == "asset" and output.asset_id is not None:
                yield output


def out_data(event: GenerationCompleted | GenerationFailed) -> dict[str, Any]:
    """`gen_out_data`: the generation's status, its error if it failed, and the outputs of its steps."""
    failed = isinstance(event, GenerationFailed)
    data: dict[str, Any] = {
        "gid": str(event.gid),
        "job_id": str(event.job_id),
        "status": "failed" if failed else "completed",
        "steps": msgspec.to_builtins(event.outputs),
    }
    if isinstance(event, GenerationFailed):
        data["error"] = msgspec.to_builtins(event.error)
    return data
