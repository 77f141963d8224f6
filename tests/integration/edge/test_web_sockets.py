"""A job's events over WebSocket: the same as over HTTP, for the same users, from the same shared stream."""

import json
from typing import Any

import aiohttp
import pytest

from tests.integration.edge.test_shared_streams import JOB, USER, Job, Services
from tests.support.edge_client import EdgeClient
from tests.support.patience import PATIENCE


@pytest.fixture
def job(services: Services) -> Job:
    upstream = Job(services["generation"])
    upstream.data = b'{"n": "\\u00e9"}'
    return upstream


def connecting(edge: EdgeClient, query: str = "", **options: Any) -> Any:
    options.setdefault("headers", edge.issuer.bearer(USER))
    return edge.session.ws_connect(edge.url + JOB + query, **options)


async def next_event(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await socket.receive_str(timeout=PATIENCE))
    return event


async def test_events_come_as_messages_and_the_end_closes(edge: EdgeClient, job: Job) -> None:
    async with connecting(edge) as socket:
        job.tell(1, 2)
        assert await next_event(socket) == {"id": 1, "event": "job_status", "data": {"n": "é"}}
        assert (await next_event(socket))["id"] == 2
        await socket.send_str("what a client sends is ignored")
        job.tell(3, over=True)
        assert (await next_event(socket))["id"] == 3
        assert (await socket.receive(PATIENCE)).type == aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1000


async def test_what_a_browser_can_not_set_as_a_header(edge: EdgeClient, job: Job) -> None:
    """Its token is a subprotocol, which is not echoed; the last id is in the URL."""
    job.tell(1, 2, 3)
    protocols = ("emprops.events", f"bearer.{edge.issuer.token(USER)}")
    async with connecting(edge, "?last_event_id=2", headers={}, protocols=protocols) as socket:
        assert socket.protocol == "emprops.events"
        assert (await next_event(socket))["id"] == 3
        async with connecting(edge, "?last_event_id=2") as other:
            assert (await next_event(other))["id"] == 3
            assert job.open == 1, "both share one stream of the service"


@pytest.mark.parametrize(("path", "headers", "status"), [(JOB, {}, 401), ("/nowhere", None, 404)])
async def test_a_handshake_is_refused_as_a_request_is(
    edge: EdgeClient, job: Job, path: str, headers: Any, status: int
) -> None:
    headers = edge.issuer.bearer(USER) if headers is None else headers
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await edge.session.ws_connect(edge.url + path, headers=headers)
    assert refused.value.status == status


async def test_a_stream_that_breaks_off_says_so(edge: EdgeClient, job: Job) -> None:
    async with connecting(edge) as socket:
        job.tell(1)
        await next_event(socket)
        job.break_off()
        assert (await socket.receive(PATIENCE)).type == aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1011
