"""Turns the socket's events into the step's reports of progress."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from workers.comfy.rewriting import Graph
from workers.kit import Step

BEFORE, WITHIN = 0.02, 0.88
"""Shares of a step: until its graph is submitted, and while it runs; the rest is for storing what it made."""


@contextlib.asynccontextmanager
async def reported(step: Step, graph: Graph) -> AsyncIterator[Callable[[float, str], None]]:
    """A function that takes progress from 0 to 1 and the running node. During a report, the latest call is kept."""
    latest: list[tuple[float, str]] = []
    has_changed = asyncio.Event()

    def note(share: float, node: str) -> None:
        latest[:] = [(share, node)]
        has_changed.set()

    async def report() -> None:
        while True:
            await has_changed.wait()
            has_changed.clear()
            share, node = latest[0]
            await step.progress(BEFORE + WITHIN * share, title(graph, node))

    task = asyncio.create_task(report())
    try:
        yield note
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def title(graph: Graph, node_id: str) -> str:
    """The title that the graph's author gave a node, or its class."""
    node: Any = graph.get(node_id)
    if node is None:
        return "running"
    meta = node.get("_meta")
    own_title = meta.get("title") if isinstance(meta, dict) else None
    return str(own_title or node["class_type"])[:100]
