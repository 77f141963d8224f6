"""Renders in child processes: rendering occupies a core, while the event loop must keep leases."""

import asyncio
import contextlib
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import structlog

from workers.kit import Backoff, File, permanent, transient
from workers.studio.renderers.fields import Refused
from workers.studio.rendering import PRELOADED, render, settle

log = structlog.get_logger()

STARTS_WITHIN = 10.0
"""Seconds for which starting a rendering process is tried, before the step is given back."""


class NotStartedError(Exception):
    """No process could be started: their fork server has just died, or the system is out of memory or processes."""


class RenderPool:
    """A pool of one child per concurrent step. When a child dies, the pool is replaced at the next call."""

    def __init__(self, processes: int, *, seconds: float) -> None:
        self._processes, self._seconds = processes, seconds
        self._pool = self._fresh()
        self.lost = 0
        """How often the pool was replaced."""

    def _fresh(self) -> ProcessPoolExecutor:
        # Forked from a process that holds nothing but the renderers, they share its memory; forked from this one, they
        # would have a copy of the locks of its threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        return ProcessPoolExecutor(self._processes, context, initializer=settle)

    async def warm(self) -> None:
        """Starts the fork server and one child; more are started when steps run at once, in 0.03 s each."""
        await asyncio.get_running_loop().run_in_executor(self._pool, os.getpid)

    async def render(
        self, service: str, generation_hash: str, payload: dict[str, Any], inputs: dict[str, bytes]
    ) -> File | str:
        """Raises StepFault. A step whose process died with another one's is tried once more, by itself."""
        try:
            return await self._render(service, generation_hash, payload, inputs)
        except BrokenProcessPool:
            log.warning("render_process_lost", service_required=service)
        try:
            return await self._render(service, generation_hash, payload, inputs)
        except BrokenProcessPool as error:
            raise transient("RENDERER_LOST", "the rendering process died") from error

    async def _render(self, service: str, *call: Any) -> File | str:
        try:
            submit = Backoff("rendering", on=(NotStartedError,), longest=1.0)
            pool, rendering = await submit.call(lambda: self._submit(service, *call), timeout=STARTS_WITHIN)
        except NotStartedError as error:
            raise transient("RENDERER_LOST", "no rendering process can be started") from error
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(rendering)
        except TimeoutError as error:
            self._replace(pool)
            raise transient("RENDER_TIMEOUT", f"rendering took longer than {self._seconds:g} s") from error
        except BrokenProcessPool:
            self._replace(pool)
            raise
        except Refused as refused:
            raise permanent(refused.code, refused.message) from refused
        except MemoryError as error:
            raise transient("RENDERER_LOST", "the rendering process had too little memory") from error
        except Exception as error:
            log.exception("render_failed", service_required=service)
            raise permanent("RENDER_FAILED", f"{service} can't render this ({type(error).__name__})") from error

    async def _submit(self, *call: Any) -> tuple[ProcessPoolExecutor, Future[File | str]]:
        """Begins to render. Raises BrokenProcessPool, and NotStartedError, which is not the step's fault."""
        pool = self._pool
        try:
            return pool, pool.submit(render, *call)
        except BrokenProcessPool:
            self._replace(pool)
            raise
        except (OSError, EOFError) as error:
            self._replace(pool)
            raise NotStartedError(repr(error)) from error

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """The first caller that notices makes the new pool; the old one's children are killed, also one that hangs."""
        if self._pool is not broken:
            return
        self.lost += 1
        self._pool = self._fresh()
        self._kill(broken)

    def _kill(self, pool: ProcessPoolExecutor) -> None:
        children = multiprocessing.active_children()
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()

    def close(self) -> None:
        """At once: what is being rendered is not waited for."""
        with contextlib.suppress(OSError):
            self._kill(self._pool)
