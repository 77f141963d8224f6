"""From the events of the socket to the step's reports of progress."""

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
    """A function that takes 0 to 1 and the node that runs; the latest is reported, whenever the last report is out."""
    latest: list[tuple[float, str]] = []
    heard = asyncio.Event()

    def hear(share: float, node: str) -> None:
        latest[:] = [(share, node)]
        heard.set()

    async def report() -> None:
        while True:
            await heard.wait()
            heard.clear()
            share, node = latest[0]
            await step.progress(BEFORE + WITHIN * share, title(graph, node))

    task = asyncio.create_task(report())
    try:
        yield hear
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def title(graph: Graph, node_id: str) -> str:
    """What the graph's author calls a node, or its class."""
    node: Any = graph.get(node_id)
    if node is None:
        return "running"
    meta = node.get("_meta")
    named = meta.get("title") if isinstance(meta, dict) else None
    return str(named or node["class_type"])[:100]
