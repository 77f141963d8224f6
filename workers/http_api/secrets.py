"""Values of secrets: asked for over plain NATS at the last moment, and kept for one attempt at most."""

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contracts.work import SecretAnswer, secret_subject
from workers.kit.faults import StepFault, transient

ANSWER_SECONDS = 5.0


class SecretValues:
    """Requests values from the generation service; `client` belongs to a NATS user with that permission."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def value(self, name: str) -> str:
        """Raises StepFault: SECRET_MISSING, or UNAVAILABLE while the service does not answer."""
        try:
            message = await self._client.request(secret_subject(name), b"", timeout=ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise transient("UNAVAILABLE", f"secret {name}: the generation service does not answer") from error
        answer = msgspec.json.decode(message.data, type=SecretAnswer)
        if answer.value is None:
            assert answer.error is not None, "an answer has a value or an error"
            raise StepFault(answer.error.code, answer.error.message, retryable=answer.error.retryable)
        return answer.value
