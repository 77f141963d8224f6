"""What a request needed is freed at its end, without the garbage collector: a cycle would keep its body until then."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from services.edge.forwarding.attempts import ServiceRequest
from services.edge.forwarding.exchange import Exchange
from services.edge.forwarding.limits import Limits
from services.edge.forwarding.repetition import NEVER
from services.edge.forwarding.request_body import ClientGone, RequestBody
from services.edge.streams.shared_streams import SharedStreams
from shared.http.ingress import Ingress
from shared.telemetry.metrics import RequestMetrics, create_registry


@pytest.fixture(autouse=True)
def _collected_never() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Client:
    """The client's side of an ASGI application."""

    async def receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        """Takes a part of the response."""


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_service_frees_its_request(method: str) -> None:
    client = Client()
    scope: Any = {"type": "http", "method": method, "path": "/", "raw_path": b"/", "headers": [], "query_string": b""}
    await Ingress(answer, RequestMetrics(create_registry()))(scope, client.receive, client.send)
    is_alive = weakref.ref(client)
    del client, scope
    assert is_alive() is None


class NoAttempts:
    """The client disconnects before any attempt ends."""

    async def response(self) -> Any:
        raise ClientGone


async def test_the_edge_frees_its_request() -> None:
    messages = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.get_running_loop().create_future()

    body = RequestBody([(b"content-length", b"2")], receive, 2, 1.0)
    request = ServiceRequest("POST", "/", [], body, NEVER, Limits())
    attempts: Any = NoAttempts
    exchange = Exchange(request, attempts, receive, Client().send, service="collections", route="/")
    await exchange.run(SharedStreams())
    await asyncio.sleep(0)  # the task that watched for a disconnection ends
    is_alive = weakref.ref(exchange)
    del exchange, request, body
    assert is_alive() is None
