"""A machine's clock may be an hour off: no attempt fails for that, and what is refused for its time alone passes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.generation.workers.upload_grants import GrantSigner
from shared.contracts.work import UploadGrant, WorkContext, WorkMessage
from tests.unit.generation.builders import scheduled_step
from workers.kit.addresses import Addresses
from workers.kit.attempt import seconds_left
from workers.kit.faults import StepFault
from workers.kit.files import File
from workers.kit.transfers import Transfers

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOME_ID = UUID(int=1)


def work(seconds: float | None) -> WorkMessage:
    context = WorkContext(SOME_ID, SOME_ID, 1, "hash", UploadGrant("http://storage.test/uploads", "token"))
    return WorkMessage(
        job_id=SOME_ID,
        gid=SOME_ID,
        sid=SOME_ID,
        attempt=1,
        service_required="sketch",
        workflow="sketch",
        payload={},
        context=context,
        deadline=(NOON + timedelta(minutes=30)).isoformat(),
        seconds=seconds,
    )


@pytest.mark.parametrize("skew", [-HOUR, timedelta(0), HOUR])
def test_an_attempt_has_the_time_that_was_sent_along(skew: timedelta) -> None:
    """From when its worker has it, whatever time the worker's clock shows."""
    assert seconds_left(work(1800.0), NOON + skew) == 1800.0


def test_without_it_the_deadline_counts() -> None:
    """As a release before sends it."""
    assert seconds_left(work(None), NOON) == 1800.0
    assert seconds_left(work(None), NOON + HOUR) < 0


@pytest.fixture
def signer(tmp_path: Path) -> GrantSigner:
    key = tmp_path / "grants.jwk"
    key.write_text(json.dumps({**OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": "grants"}))
    return GrantSigner(str(key), "http://storage.test", "emprops")


def test_a_grant_is_good_on_a_clock_that_is_an_hour_off(signer: GrantSigner) -> None:
    """It does not say since when it is valid, and outlives the deadline by more than an hour."""
    claims = jwt.decode(signer.grant(scheduled_step(), {}, deadline=NOON).token, options={"verify_signature": False})
    assert not {"iat", "nbf"} & set(claims)
    assert datetime.fromtimestamp(claims["exp"], UTC) > NOON + HOUR


@pytest.mark.parametrize(
    ("detail", "code", "retryable"),
    [
        ("The bearer token is not valid: it is not valid yet", "CLOCK_SKEW", True),
        ("The bearer token is not valid: it has expired", "CLOCK_SKEW", True),
        ("The bearer token is not valid: its signature is wrong", "UPLOAD_REFUSED", False),
    ],
)
async def test_a_token_refused_for_its_time_is_a_passing_fault(detail: str, code: str, *, retryable: bool) -> None:
    """Told as what it is; another signature would not help at another time."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"detail": detail}, status=401, content_type="application/problem+json")

    application = web.Application()
    application.add_routes([web.post("/uploads", refuse)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    grant = UploadGrant(f"http://127.0.0.1:{runner.addresses[0][1]}/uploads", "token")
    file = File("a.png", "image/png", b"x")
    try:
        async with aiohttp.ClientSession() as session:
            transfers = Transfers(session, Addresses("http://edge.test", []), patience=0.0, max_bytes=100)
            with pytest.raises(StepFault) as refused:
                await transfers.upload(file, grant, None)
    finally:
        await runner.cleanup()
    assert (refused.value.error.code, refused.value.error.retryable) == (code, retryable)
