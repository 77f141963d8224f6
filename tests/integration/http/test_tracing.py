"""Spans are exported to an OTLP collector if one is configured."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from litestar import get
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.http import Authenticator, Envelope, FromPath, Issuer, create_app
from shared.telemetry import tracing
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector:
    """Accepts OTLP over HTTP and records the spans."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    otlp_collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", otlp_collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setattr(tracing, "_tracer", None)
    yield otlp_collector
    await runner.cleanup()


@get("/things/{number:int}", opt={"public": True})
async def thing(number: FromPath[int]) -> Envelope[int]:
    return Envelope(number)


async def test_a_request_is_a_server_span_of_its_callers_trace(collector: Collector, tmp_path: Path) -> None:
    """With method, route template and status, in the trace of the caller's traceparent."""
    provider = tracing.setup_tracing(service="things", instance="things-1")
    assert provider is not None
    issuer = TokenIssuer()
    app = create_app(
        title="Things",
        route_handlers=[thing],
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path))], AUDIENCE),
    )
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with (
        serving(app) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/things/7", headers=headers) as response,
    ):
        assert response.status == 200
    await asyncio.to_thread(provider.shutdown)

    exported = collector.requests[0].resource_spans[0]
    resource = {attribute.key: attribute.value.string_value for attribute in exported.resource.attributes}
    span = exported.scope_spans[0].spans[0]
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    assert (resource["service.name"], resource["service.instance.id"]) == ("emprops-things", "things-1")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, "00f067aa0ba902b7")
    assert span.name == "GET /things/{number}"
    assert attributes["http.response.status_code"].int_value == 200


def test_without_a_collector_there_is_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is started; trace contexts are passed on."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert tracing.setup_tracing(service="things") is None
    assert tracing.Span("x", f"00-{TRACE}-00f067aa0ba902b7-01", "server").traceparent.startswith(f"00-{TRACE}-")
