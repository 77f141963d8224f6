"""The context of a command, trace context, logs and health: how a request is followed."""

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
    made = RequestFactory().post(
        path,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        user=Principal(user, frozenset(roles), {}),
    )
    attach_trace(made.scope, RequestTrace(uuid4(), TRACEPARENT))
    return command_context(made)


def test_a_request_without_a_key_is_a_command_of_its_own() -> None:
    """Two of them have two command ids, and are not looked for among what was done."""
    first, second = command(), command()
    assert first.command_id != second.command_id
    assert not first.repeatable


def test_the_same_key_is_the_same_command() -> None:
    """User, method, path and key make the command id; a retry is looked for."""
    first, again = command(idempotency_key="k1"), command(idempotency_key="k1")
    assert first.command_id == again.command_id
    assert first.repeatable
    others = [
        command(idempotency_key="k2"),
        command("/jobs", idempotency_key="k1"),
        command(user=uuid4(), idempotency_key="k1"),
    ]
    assert first.command_id not in {other.command_id for other in others}


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_must_be_one(key: str) -> None:
    """Empty and overlong keys are refused, with the header named."""
    with pytest.raises(Problem) as refusal:
        command(idempotency_key=key)
    assert refusal.value.details[0].pointer == "header:Idempotency-Key"


def test_events_say_whether_a_user_or_its_worker_acted() -> None:
    """The actor is the user, or the worker on that user's behalf."""
    assert command().actor == f"user:{USER}"
    assert command(roles=("user", "operator")).actor == f"user:{USER}"
    assert command(roles=("worker",)).actor == f"worker:{USER}"


def test_a_trace_is_continued_with_a_span_of_its_own() -> None:
    """Trace id and flags stay, the span id is new."""
    version, trace, span_id, flags = continue_trace(TRACEPARENT).split("-")
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert span_id != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "given",
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
def test_an_invalid_traceparent_starts_a_new_trace(given: str | None) -> None:
    """As the recommendation asks: what can't be parsed is dropped."""
    made = continue_trace(given)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    assert given is None or made[3:35] not in given
    assert extract({"traceparent": given or ""}) is None


def test_headers_carry_the_trace_onwards() -> None:
    """What a span injects is what the next service extracts."""
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


def test_a_log_entry_says_where_it_comes_from_and_what_it_belongs_to(lines: Any) -> None:
    """One JSON object per line, from structlog and from the standard library alike."""
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


async def test_a_request_that_is_not_served_is_found_by_its_correlation_id(lines: Any) -> None:
    """Its answer names the id; a health check that says no is no such request."""

    async def away(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    ingress, correlation_id, sent = Ingress(away, RequestMetrics(create_registry())), str(uuid4()), []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    for path in ("/credits", "/health/ready"):
        made = RequestFactory().get(path, headers={"X-Correlation-ID": correlation_id})
        made.scope["path_template"] = path
        await ingress(made.scope, receive, send)
    assert (b"x-correlation-id", correlation_id.encode()) in sent[0]["headers"]
    [logged] = lines()
    assert (logged["correlation_id"], logged["route"], logged["status"]) == (correlation_id, "/credits", 503)


def test_secrets_do_not_reach_the_log(lines: Any) -> None:
    """Not under telling names, not in URLs, not as bearer tokens, not in tracebacks."""
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


def test_striking_secrets_leaves_the_rest() -> None:
    """Plain words, also the word token, stay."""
    assert strike_secrets("the token at https://a.test:80/x?y=1 is fine") == (
        "the token at https://a.test:80/x?y=1 is fine"
    )
    assert strike_secrets("url: /b/o?X-Amz-Expires=9&X-Amz-Signature=0a1b (refused)") == (
        "url: /b/o?X-Amz-Expires=9&X-Amz-Signature=*** (refused)"
    )
    assert strike_secrets("nats://u:p@h:1 eyJhbGciOi.eyJzdWIi.abc") == "nats://u:***@h:1 ***"


async def test_readiness_names_what_fails_and_keeps_its_secrets() -> None:
    """All checks run; own words are shown, a foreign exception only by its kind, and none may hang."""

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
