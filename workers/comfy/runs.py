"""One run of a graph on a ComfyUI server, from its submission to its outcome.

The server's history is the truth. A run that the server does not know any more, because it was restarted, is submitted
again under the same id. Cancelling ends exactly this run.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from workers.comfy.answers import Outcome, Run
from workers.comfy.server import ComfyServer, Unavailable
from workers.comfy.socket import Socket, Watched
from workers.kit.faults import transient

LOOK_SECONDS = 1.0
LOOK_SECONDS_WITH_SOCKET = 5.0
UNAVAILABLE_SECONDS = 60.0
"""How long a server may be away before the run counts as lost; a restart takes less."""
MAX_SUBMISSIONS = 5
CANCEL_SECONDS = 10.0

log = structlog.get_logger()


async def run_graph(
    server: ComfyServer,
    socket: Socket,
    graph: Mapping[str, Any],
    prompt_id: str,
    progress: Callable[[float, str], None],
) -> Outcome:
    """The files and texts that the graph makes. Raises StepFault.

    A run of this id that the server knows, from an attempt whose worker was lost, is followed and not repeated.
    """
    watched = Watched(len(graph), progress)
    try:
        with socket.watch(prompt_id, watched):
            return await _follow(server, socket, graph, prompt_id, watched)
    except asyncio.CancelledError:
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await server.cancel(prompt_id)
        raise


async def _follow(
    server: ComfyServer, socket: Socket, graph: Mapping[str, Any], prompt_id: str, watched: Watched
) -> Outcome:
    submissions = 0
    while True:
        watched.changed.clear()
        run = await _patiently(server, prompt_id)
        if run.state == "unknown":
            if submissions == MAX_SUBMISSIONS:
                raise transient("COMFY_RUN_LOST", f"The ComfyUI server has lost this run {submissions} times")
            if submissions:
                log.info("comfy_run_submitted_again", prompt_id=prompt_id, server=str(server.url))
            submissions += 1
            # An answer that is lost leaves open whether it runs: the next look tells.
            with contextlib.suppress(Unavailable):
                await server.submit(graph, prompt_id)
            continue
        if run.outcome is not None:
            return run.outcome
        if run.fault is not None:
            raise run.fault
        pause = LOOK_SECONDS_WITH_SOCKET if socket.connected else LOOK_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await watched.changed.wait()


async def _patiently(server: ComfyServer, prompt_id: str) -> Run:
    """What the server knows of the run, once it answers. Raises StepFault COMFY_UNAVAILABLE if it does not for long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + UNAVAILABLE_SECONDS
    while True:
        try:
            return await server.look_up(prompt_id)
        except Unavailable as error:
            if loop.time() >= until:
                raise transient("COMFY_UNAVAILABLE", f"ComfyUI has not answered for a minute: {error}") from error
        await asyncio.sleep(LOOK_SECONDS)
