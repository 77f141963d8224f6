"""Checkpoints: stored through the stream of results, and read from the message of work or from the engine."""

from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.backoff import Backoff
from shared.contracts.work import Checkpoint, CheckpointAnswer, CheckpointQuery, WorkMessage, checkpoint_subject
from workers.kit.faults import transient
from workers.kit.lane import ACK_TIMEOUT

ANSWER_SECONDS = 10.0
"""For one request; the engine may wait 5 s for what it has yet to record."""


class Checkpointer:
    """The checkpoints of one attempt. `is_redelivered`: another worker may have stored some in this attempt."""

    def __init__(self, client: Client, work: WorkMessage, kind: str, *, is_redelivered: bool) -> None:
        self._client, self._work, self._kind = client, work, kind
        self._is_redelivered = is_redelivered
        self._newest, self.number = work.checkpoint, work.checkpoint_number

    async def store(self, checkpoint: dict[str, Any]) -> None:
        """Publishes it, however long the broker is away; JetStream acknowledges it when it is on disk."""
        await self.newest()  # whose number is the one before
        work, number = self._work, self.number + 1
        message = Checkpoint(work.job_id, work.gid, work.sid, work.attempt, number, checkpoint)
        headers = {"Nats-Msg-Id": f"{work.sid}:{work.attempt}:checkpoint:{number}"}
        body = msgspec.json.encode(message)
        await Backoff("checkpoint", on=may_pass).call(
            lambda: self._client.jetstream(timeout=ACK_TIMEOUT).publish(
                message.subject(self._kind), body, headers=headers
            )
        )
        self._newest, self.number = checkpoint, number

    async def newest(self) -> dict[str, Any] | None:
        """The message's checkpoint; the engine's if a worker with an earlier delivery may have stored a newer one."""
        if self._is_redelivered:
            answer = await self._ask()
            self._newest, self.number = answer.checkpoint, answer.number
            self._is_redelivered = False
        return self._newest

    async def _ask(self) -> CheckpointAnswer:
        work = self._work
        query = msgspec.json.encode(CheckpointQuery(work.job_id, work.gid, work.sid))
        try:
            message = await self._client.request(checkpoint_subject(self._kind), query, timeout=ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise transient("UNAVAILABLE", "checkpoint: the engine does not answer") from error
        answer = msgspec.json.decode(message.data, type=CheckpointAnswer)
        if not answer.is_current:
            raise transient("UNAVAILABLE", "checkpoint: the engine has not recorded the results before")
        return answer


def may_pass(error: Exception) -> bool:
    """Whether a retry may succeed: not with a client that was closed."""
    return isinstance(error, nats.errors.Error) and not isinstance(error, nats.errors.ConnectionClosedError)
