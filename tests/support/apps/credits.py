"""The credits service as its clients and the generation service meet it."""

import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from services.credits.app import SERVICE, build
from services.credits.settings import CreditsSettings
from shared.contracts.generation import JobRequested, RequestedGeneration
from shared.runtime import Running, running
from tests.support.apps.client import ALICE, Answer, Client
from tests.support.patience import eventually
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

OPERATOR = UUID(int=3)


class Api(Client):
    """Requests of one user or another; numbers in answers are exact (Decimal)."""

    parse_float = Decimal

    def __init__(self, url: str, issuer: TokenIssuer, session: aiohttp.ClientSession, service: Running) -> None:
        super().__init__(url, issuer, session)
        self.runtime, self.consumers = service.runtime, service.parts.consumers

    async def grant(self, body: dict[str, Any] | str, *roles: str, **request: Any) -> Answer:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": "application/json", **request.pop("headers", {})}
        chosen = roles or ("operator",)
        return await self.send("POST", "/credits/grants", OPERATOR, *chosen, data=text, headers=headers, **request)

    async def give(self, amount: str, user: UUID = ALICE, **fields: Any) -> Any:
        return (await self.grant({"user_id": str(user), "amount": amount, **fields})).data

    async def balance(self, user: UUID = ALICE) -> tuple[Decimal, Decimal, Decimal]:
        """Available, held, spent."""
        balance = (await self.get("/credits", user)).data
        return tuple(Decimal(balance[name]) for name in ("available", "held", "spent"))  # type: ignore[return-value]  # of three

    async def settled(self, amounts: tuple[str, str, str], user: UUID = ALICE) -> None:
        """Waits until the balance has these amounts: available, held and spent."""
        expected = tuple(map(Decimal, amounts))
        await eventually(lambda: self._is(expected, user), f"the balance of {user} to become {amounts}")

    async def _is(self, expected: tuple[Decimal, ...], user: UUID) -> bool:
        return await self.balance(user) == expected


@contextlib.asynccontextmanager
async def credits_service(database: str, nats_url: str, folder: Path) -> AsyncIterator[Api]:
    issuer = TokenIssuer()
    chosen = CreditsSettings(
        database_url=database,
        nats_url=nats_url,
        auth_jwks_url=issuer.jwks_file(folder),
        auth_issuer=issuer.iss,
        auth_audience=AUDIENCE,
    )
    async with (
        running(SERVICE, chosen, build) as service,
        serving(service.app) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Api(url, issuer, session, service)


def requested(job_id: UUID, quoted: int, user: UUID = ALICE) -> JobRequested:
    """A job at a price, in micro-credits."""
    return JobRequested(
        job_id=job_id,
        name="Collection Generation: Birds",
        job_type="collection_generation",
        user_id=user,
        collection_id=UUID(int=50),
        project_id=UUID(int=51),
        data={},
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(uuid4(), "ab", quoted)],
        quoted=quoted,
    )
