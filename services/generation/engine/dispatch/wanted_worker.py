"""Asks `emprops up` to start the http worker, by making a file for which it looks."""

import asyncio
from pathlib import Path

from services.generation.processes.want_http_worker import NAME, calls_an_api
from shared.contracts.generation import WorkflowRegistered
from shared.eventstore import RecordedEvent
from shared.processes import Process


def wanted_worker_process(file: str) -> Process:
    """`file`: is made when a fetch_api workflow is registered; empty where the worker runs in any case."""

    async def want(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, WorkflowRegistered)
        if file and calls_an_api(event):
            await asyncio.to_thread(_make, Path(file))

    return Process(NAME, (WorkflowRegistered,), want)


def _make(file: Path) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.touch()
