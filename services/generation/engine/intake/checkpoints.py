"""Steps' newest checkpoints: for messages of work, and for workers whose message JetStream has delivered again.

A checkpoint is durable once RESULTS has it, and recorded a moment later. So both wait until RESULTS holds no message of
the generation any more: then the checkpoint of a task that was started is recorded, and the task is not started again.
"""

import asyncio
from uuid import UUID

import msgspec
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from services.generation.domain.generation import CheckpointState
from services.generation.engine.intake.answering import answer_requests
from services.generation.handlers.commands import CommandHandlers
from services.generation.workers.broker import Broker
from shared.contracts.work import RESULTS_STREAM, CheckpointAnswer, CheckpointQuery

WAIT_SECONDS = 5.0
"""How long to wait for the generation's messages to be recorded."""
POLL_SECONDS = 0.05


class ResultsPending(TimeoutError):  # noqa: N818 - a state, which passes
    """RESULTS still holds messages of the generation: its newest checkpoint may not be recorded yet."""


class Checkpoints:
    """Reads checkpoints, and answers workers' CheckpointQueries."""

    def __init__(self, handlers: CommandHandlers, broker: Broker) -> None:
        self._handlers, self._broker = handlers, broker

    async def run(self) -> None:
        """Answers workers until cancelled."""
        await answer_requests(self._broker, "checkpoints.>", self._answer)

    async def newest(self, job_id: UUID, gid: UUID, sid: UUID) -> CheckpointState:
        """A step's newest checkpoint. Raises ResultsPending, and nats.errors.Error while the broker is away."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while await self._is_pending(job_id, gid):  # noqa: ASYNC110 - JetStream sends no event when a stream is empty
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise ResultsPending(f"results of generation {gid} wait to be recorded") from None
        return await self._handlers.checkpoint_of(gid, sid)

    async def _is_pending(self, job_id: UUID, gid: UUID) -> bool:
        js = await self._broker.jetstream()
        try:
            await js.get_msg(RESULTS_STREAM, seq=1, subject=f"results.{job_id}.{gid}.>", next=True)
        except NotFoundError:
            return False
        return True

    async def _answer(self, message: Msg) -> CheckpointAnswer | None:
        query = msgspec.json.decode(message.data, type=CheckpointQuery)
        try:
            newest = await self.newest(query.job_id, query.gid, query.sid)
            return CheckpointAnswer(True, newest.number, newest.checkpoint)
        except ResultsPending:
            return CheckpointAnswer(is_current=False)
