"""How often the edge checks a replica: seldom if it is its service's only one and gets no requests, else often."""

from services.edge.forwarding.replicas import IDLE_PAUSE, Replicas
from tests.support.edge_client import Edge
from tests.support.patience import PATIENCE, eventually
from tests.support.serving import serving
from tests.support.upstream import Exchange, UpstreamStub


class CheckedService(UpstreamStub):
    checks = 0

    async def __call__(self, scope, receive, send):
        self.checks += scope.get("path") == "/health/live"
        await super().__call__(scope, receive, send)


async def test_readiness_checks_a_service_that_gets_no_requests(start_edge: Edge, monkeypatch):
    """Without it, the next check would come after this test's timeout."""
    monkeypatch.setattr("services.edge.forwarding.replicas.IDLE_PAUSE", 10 * PATIENCE)
    credits_ = CheckedService("credits")
    async with serving(credits_) as url:
        edge = await start_edge(credits_url=url)
        await eventually(lambda: credits_.checks, "a first check")

        async def is_checked_again() -> bool:
            before = credits_.checks
            assert (await edge.json("GET", "/health/ready"))[0] == 200
            return credits_.checks > before

        for _ in range(3):
            await eventually(is_checked_again, "a check for the response")

    async def is_reported() -> bool:
        status, health = await edge.json("GET", "/health/ready")
        return status == 503 and f"credits: {url}" in str(health)

    await eventually(is_reported, "its end to be reported")


async def test_a_service_that_gets_requests_is_checked_often(start_edge: Edge, monkeypatch):
    monkeypatch.setattr("services.edge.forwarding.replicas.IDLE_PAUSE", 10 * PATIENCE)
    credits_ = CheckedService("credits")

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"{}")

    credits_.answer = answer
    async with serving(credits_) as url:
        edge = await start_edge(credits_url=url)

        async def two_more_checks() -> bool:
            before = credits_.checks
            await edge.json("GET", "/credits")
            await eventually(lambda: credits_.checks >= before + 2, "two checks after one request")
            return True

        assert await two_more_checks()


def test_several_replicas_are_always_checked_often():
    """Which of them is silent must be known before a request comes."""
    assert IDLE_PAUSE > 1
    assert Replicas("one", ["http://a"]).is_idle
    assert not Replicas("two", ["http://a", "http://b"]).is_idle
