"""Makes the step's reports of progress of the socket's events."""

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
    """A function that takes 0 to 1 and the running node; it reports the latest values when the last report was sent."""
    latest: list[tuple[float, str]] = []
    has_news = asyncio.Event()

    def hear(share: float, node: str) -> None:
        latest[:] = [(share, node)]
        has_news.set()

    async def report() -> None:
        while True:
            await has_news.wait()
            has_news.clear()
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
    """The title that the graph's author gave a node, or its class."""
    node: Any = graph.get(node_id)
    if node is None:
        return "running"
    meta = node.get("_meta")
    given_title = meta.get("title") if isinstance(meta, dict) else None
    return str(given_title or node["class_type"])[:100]
