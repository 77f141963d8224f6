"""How a request is identified: the context of its command, trace context, logs and health."""

import asyncio
import io
import json
import logging
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from litestar.testing import RequestFactory

from shared.contracts.problem import Problem
from shared.http.auth import Principal
from shared.http.context import RequestTrace, attach_trace, command_context
from shared.http.health import NotReady, Readiness
from shared.http.ingress import Ingress
from shared.telemetry.logging import configure_logging, correlation, get_logger, strike_secrets
from shared.telemetry.metrics import RequestMetrics, create_registry
from shared.telemetry.tracing import continue_trace, extract, inject, span

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
USER = UUID("7b0c2f46-8f5c-4c39-9d3e-6f0f8a1d2b3c")


def command(path: str = "/projects", *, user: UUID = USER, roles: tuple[str, ...] = ("user",), **headers: str) -> Any:
    request = RequestFactory().post(
        path,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        user=Principal(user, frozenset(roles), {}),
    )
    attach_trace(request.scope, RequestTrace(uuid4(), TRACEPARENT))
    return command_context(request)


def test_a_request_without_a_key_is_a_command_of_its_own() -> None:
    """Two such requests have two command ids, and are not repeatable."""
    first, second = command(), command()
    assert first.command_id != second.command_id
    assert not first.repeatable


def test_the_same_key_is_the_same_command() -> None:
    """The command id is derived from user, method, path and key; the command is repeatable."""
    first, second = command(idempotency_key="k1"), command(idempotency_key="k1")
    assert first.command_id == second.command_id
    assert first.repeatable
    others = [
        command(idempotency_key="k2"),
        command("/jobs", idempotency_key="k1"),
        command(user=uuid4(), idempotency_key="k1"),
    ]
    assert first.command_id not in {other.command_id for other in others}


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_empty_and_overlong_keys_are_rejected(key: str) -> None:
    """The fault has the header's name."""
    with pytest.raises(Problem) as refusal:
        command(idempotency_key=key)
    assert refusal.value.details[0].pointer == "header:Idempotency-Key"


def test_the_actor_is_the_user_or_a_worker_for_it() -> None:
    assert command().actor == f"user:{USER}"
    assert command(roles=("user", "operator")).actor == f"user:{USER}"
    assert command(roles=("worker",)).actor == f"worker:{USER}"


def test_a_trace_is_continued_with_a_new_span_id() -> None:
    """The trace id and flags stay."""
    version, trace, span_id, flags = continue_trace(TRACEPARENT).split("-")
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert span_id != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01x",
    ],
)
def test_an_invalid_traceparent_starts_a_new_trace(traceparent: str | None) -> None:
    """As W3C Trace Context requires."""
    new_traceparent = continue_trace(traceparent)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", new_traceparent)
    assert traceparent is None or new_traceparent[3:35] not in traceparent
    assert extract({"traceparent": traceparent or ""}) is None


def test_extract_reverses_inject() -> None:
    with span("relay", traceparent=TRACEPARENT, kind="producer") as current:
        headers = inject({}, current.traceparent)
    assert extract(headers) == current.traceparent
    assert current.traceparent[3:35] == TRACEPARENT[3:35]
    assert inject({}, None) == {}


@pytest.fixture
def lines() -> Any:
    out = io.StringIO()
    configure_logging(service="credits", instance="credits-1", level="info", stream=out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.getLogger().handlers = []
    structlog.reset_defaults()


def test_log_entries_have_service_instance_and_correlation_id(lines: Any) -> None:
    """One JSON object per line, from structlog and from the standard library."""
    token = correlation.set("c0ffee")
    get_logger("relay").info("published", events=3)
    logging.getLogger("uvicorn.error").warning("odd: %s", "thing")
    correlation.reset(token)
    ours, foreign = lines()
    assert ours["event"] == "published"
    assert ours["events"] == 3
    assert foreign["event"] == "odd: thing"
    for ingress, source in ((ours, "relay"), (foreign, "uvicorn.error")):
        assert (ingress["service"], ingress["instance"], ingress["source"]) == ("credits", "credits-1", source)
        assert ingress["correlation_id"] == "c0ffee"


async def test_failed_requests_are_logged_with_their_correlation_id(lines: Any) -> None:
    """The response has it, too; failing health checks are not logged."""

    async def away(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    ingress, correlation_id, messages = Ingress(away, RequestMetrics(create_registry())), str(uuid4()), []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    for path in ("/credits", "/health/ready"):
        request = RequestFactory().get(path, headers={"X-Correlation-ID": correlation_id})
        request.scope["path_template"] = path
        await ingress(request.scope, receive, send)
    assert (b"x-correlation-id", correlation_id.encode()) in messages[0]["headers"]
    [logged] = lines()
    assert (logged["correlation_id"], logged["route"], logged["status"]) == (correlation_id, "/credits", 503)


def test_secrets_are_not_logged(lines: Any) -> None:
    """In fields whose names mark them, URLs, bearer tokens and tracebacks."""
    url = "postgresql://credits:hunter2@127.0.0.1/credits"
    get_logger("x").warning("fails", url=url, password="hunter2", s3_secret_key="hunter2", nested={"dsn": url})
    try:
        int(url)
    except ValueError:
        get_logger("x").exception("fails")
    logging.getLogger("y").error("Authorization: Bearer hunter2hunter2")
    text = json.dumps(lines())
    assert len(lines()) == 3
    assert "hunter2" not in text
    assert "127.0.0.1/credits" in text


def test_other_text_is_logged_unchanged() -> None:
    """Also the word token."""
    assert strike_secrets("the token at https://a.test:80/x?y=1 is fine") == (
        "the token at https://a.test:80/x?y=1 is fine"
    )
    assert strike_secrets("url: /b/o?X-Amz-Expires=9&X-Amz-Signature=0a1b (refused)") == (
        "url: /b/o?X-Amz-Expires=9&X-Amz-Signature=*** (refused)"
    )
    assert strike_secrets("nats://u:p@h:1 eyJhbGciOi.eyJzdWIi.abc") == "nats://u:***@h:1 ***"


async def test_readiness_names_failing_checks() -> None:
    """All checks run, each bounded in time; texts of NotReady are shown, of other errors only the type."""

    async def fine() -> str | None:
        return "12 connections"

    async def lagging() -> str | None:
        raise NotReady("5000 events behind")

    async def broken() -> str | None:
        raise ConnectionError("postgresql://u:hunter2@h refused")

    async def hanging() -> str | None:
        await asyncio.Event().wait()
        return None

    checks = {"store": fine, "projection": lagging, "broker": broken, "s3": hanging}
    health = await Readiness(checks, seconds=0.1).look()
    assert health.status == "failing"
    silent = health.checks.pop("s3")
    assert silent.status == "failing"
    assert re.fullmatch(r"no answer for \d+(\.\d)? s", silent.detail or ""), (
        "for how long it was waited, not asked to wait"
    )
    assert {name: (check.status, check.detail) for name, check in health.checks.items()} == {
        "store": ("ok", "12 connections"),
        "projection": ("failing", "5000 events behind"),
        "broker": ("failing", "ConnectionError"),
    }
    assert (await Readiness({"store": fine}).look()).status == "ok"
