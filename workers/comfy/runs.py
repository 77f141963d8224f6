"""One run of a graph on a ComfyUI server, from its submission to its outcome.

The server's history is the truth. A run that the server does not know any more, because it was restarted, is submitted
again under the same id. Cancelling ends only this run.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from workers.comfy.answers import Outputs, Run
from workers.comfy.server import ComfyServer, Unavailable
from workers.comfy.servers import Waiting
from workers.comfy.socket import Socket, Watched
from workers.kit.faults import transient

POLL_SECONDS = 1.0
"""Between two requests for a run's state; with a socket, POLL_SECONDS_WITH_SOCKET, since its events come first."""
POLL_SECONDS_WITH_SOCKET = 5.0
MAX_SUBMISSIONS = 5
CANCEL_SECONDS = 4.0
"""Less than the kit gives a handler to clean up."""

log = structlog.get_logger()

Prepare = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives the server the files that the graph loads, and returns the graph that names them. Raises StepFault."""


class GraphRun:
    """The run `prompt_id`. `away_seconds`: how long the server may be away before the run counts as lost."""

    def __init__(
        self, server: ComfyServer, socket: Socket, prompt_id: str, watched: Watched, *, away_seconds: float
    ) -> None:
        self._server, self._socket, self._id, self._watched = server, socket, prompt_id, watched
        self._away_seconds = away_seconds
        self._submission: asyncio.Task[None] | None = None

    async def outputs(self, prepare: Prepare, waiting: Waiting = contextlib.nullcontext) -> Outputs:
        """The outputs of the run, by node. While others' runs go first, that is within `waiting`. Raises StepFault.

        A run of this id that the server knows, from an attempt whose worker was lost, is followed and not repeated.
        When cancelled, it leaves the run as it is: `cancel` ends it.
        """
        submissions = 0
        with self._socket.watch(self._id, self._watched):
            while True:
                self._watched.changed.clear()
                run = await self._look_up()
                if run.outputs is not None:
                    return run.outputs
                if run.fault is not None:
                    raise run.fault
                if run.state != "unknown":
                    with waiting() if run.state == "queued" else contextlib.nullcontext():
                        await self._pause()
                    continue
                if submissions == MAX_SUBMISSIONS:
                    raise transient("COMFY_RUN_LOST", f"The ComfyUI server has lost this run {submissions} times")
                if submissions:
                    log.info("comfy_run_submitted_again", prompt_id=self._id, server=self._server.name)
                submissions += 1
                # If the answer is lost, the run may have begun: the next lookup shows it.
                with contextlib.suppress(Unavailable):
                    await self._submit(await prepare())

    async def _submit(self, graph: Mapping[str, Any]) -> None:
        """The submission goes on when this is cancelled: the server may have it already, and `cancel` waits for it."""
        self._submission = asyncio.create_task(self._server.submit(graph, self._id))
        self._submission.add_done_callback(lambda submission: submission.cancelled() or submission.exception())
        await asyncio.shield(self._submission)

    async def _pause(self) -> None:
        pause = POLL_SECONDS_WITH_SOCKET if self._socket.connected else POLL_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._watched.changed.wait()

    async def _look_up(self) -> Run:
        """The state of the run on the server, once it answers. Raises COMFY_UNAVAILABLE after `away_seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._away_seconds
        while True:
            try:
                return await self._server.look_up(self._id)
            except Unavailable as error:
                if loop.time() >= until:
                    sentence = f"ComfyUI has not answered for {self._away_seconds:g} s: {error}"
                    raise transient("COMFY_UNAVAILABLE", sentence) from error
            await asyncio.sleep(POLL_SECONDS)

    async def cancel(self) -> None:
        """Ends this run and no other, if it is queued or running. Gives up after CANCEL_SECONDS; never raises."""
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                if self._submission is not None:
                    await asyncio.wait((self._submission,))
                await self._server.cancel(self._id)
        except (Unavailable, TimeoutError) as error:
            log.warning("comfy_run_not_cancelled", prompt_id=self._id, server=self._server.name, error=str(error))
