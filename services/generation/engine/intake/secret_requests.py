"""Answers the http worker's requests for values of secrets, on `secrets.<NAME>`: only its NATS user may ask."""

from nats.aio.msg import Msg

from services.generation.engine.intake.answering import answer_requests
from services.generation.handlers.secrets import NoSecret, Secrets
from services.generation.workers.broker import Broker
from shared.contracts.generation import StepError
from shared.contracts.work import SecretAnswer, secret_subject


class SecretRequests:
    def __init__(self, secrets: Secrets, broker: Broker) -> None:
        self._secrets, self._broker = secrets, broker

    async def run(self) -> None:
        """Answers until cancelled."""
        await answer_requests(self._broker, secret_subject(">"), self._answer)

    async def _answer(self, message: Msg) -> SecretAnswer:
        name = message.subject.removeprefix(secret_subject(""))
        try:
            return SecretAnswer(await self._secrets.value(name))
        except NoSecret as missing:
            return SecretAnswer(error=StepError(missing.code, missing.message, retryable=False))
