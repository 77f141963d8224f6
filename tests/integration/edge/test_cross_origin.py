"""Pages of any origin may read what needs no token, and nothing else (CORS)."""

from uuid import UUID

import pytest

from tests.support.edge_client import EdgeClient
from tests.support.upstream import Exchange, UpstreamStub

Services = dict[str, UpstreamStub]
IMAGE = f"/collections/{UUID(int=1)}/tokens/1/image"
ORIGIN = {"Origin": "https://market.example"}


@pytest.mark.parametrize("path", ["/collections", IMAGE])
async def test_a_page_of_any_origin_reads_what_is_public(edge: EdgeClient, path: str) -> None:
    async with edge.request("GET", path, anonymous=True, headers=ORIGIN) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == "*"
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"content-range", "etag", "x-ipfs-roots"} <= set(exposed)


async def test_a_refusal_of_what_is_public_can_be_read_too(edge: EdgeClient, services: Services) -> None:
    async def missing(exchange: Exchange) -> None:
        await exchange.answer(b"{}", 404, content_type="application/problem+json")

    services["storage"].answer = missing
    async with edge.request("GET", IMAGE, anonymous=True, headers=ORIGIN) as response:
        assert (response.status, response.headers["access-control-allow-origin"]) == (404, "*")


async def test_a_page_may_not_read_what_needs_a_token(edge: EdgeClient) -> None:
    async with edge.request("GET", "/projects", headers=ORIGIN) as response:
        assert response.status == 200
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_browser_is_permitted_to_send_conditions_and_ranges(
    edge: EdgeClient, services: Services, method: str
) -> None:
    """The edge answers the preflight request itself."""
    preflight = {**ORIGIN, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "range"}
    async with edge.request("OPTIONS", IMAGE, anonymous=True, headers=preflight) as response:
        assert (response.status, await response.read()) == (204, b"")
        assert response.headers["access-control-allow-origin"] == "*"
        assert method in response.headers["access-control-allow-methods"].split(", ")
        assert {"range", "if-none-match"} <= set(response.headers["access-control-allow-headers"].split(", "))
    assert not any(stub.requests for stub in services.values())


@pytest.mark.parametrize(("method", "path"), [("PUT", IMAGE), ("GET", "/projects"), ("POST", "/collections")])
async def test_a_browser_is_not_permitted_to_send_anything_else(edge: EdgeClient, method: str, path: str) -> None:
    preflight = {**ORIGIN, "Access-Control-Request-Method": method}
    async with edge.request("OPTIONS", path, anonymous=True, headers=preflight) as response:
        assert response.status == 401
        assert "access-control-allow-origin" not in response.headers
