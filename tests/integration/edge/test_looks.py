"""How often the edge looks at a service: seldom at the only address of one to which it sends nothing, else often."""

from services.edge.replicas import LOOK_SELDOM, Replicas
from tests.support.edge_client import Edge
from tests.support.patience import PATIENCE, eventually
from tests.support.serving import serving
from tests.support.upstream import Exchange, UpstreamStub


class Counted(UpstreamStub):
    looks = 0

    async def __call__(self, scope, receive, send):
        self.looks += scope.get("path") == "/health/live"
        await super().__call__(scope, receive, send)


async def test_a_service_that_gets_no_requests_is_looked_at_when_readiness_is_asked_for(start_edge: Edge, monkeypatch):
    """Its next look by itself would come after this test has given up."""
    monkeypatch.setattr("services.edge.replicas.LOOK_SELDOM", 10 * PATIENCE)
    credits_ = Counted("credits")
    async with serving(credits_) as url:
        edge = await start_edge(credits_url=url)
        await eventually(lambda: credits_.looks, "a first look")

        async def is_asked_again() -> bool:
            before = credits_.looks
            assert (await edge.json("GET", "/health/ready"))[0] == 200
            return credits_.looks > before

        for _ in range(3):
            await eventually(is_asked_again, "a look for the answer")

    async def is_told() -> bool:
        status, health = await edge.json("GET", "/health/ready")
        return status == 503 and f"credits: {url}" in str(health)

    await eventually(is_told, "its end to be told")


async def test_a_service_that_gets_requests_is_looked_at_often(start_edge: Edge, monkeypatch):
    monkeypatch.setattr("services.edge.replicas.LOOK_SELDOM", 10 * PATIENCE)
    credits_ = Counted("credits")

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"{}")

    credits_.answer = answer
    async with serving(credits_) as url:
        edge = await start_edge(credits_url=url)

        async def two_more_looks() -> bool:
            before = credits_.looks
            await edge.json("GET", "/credits")
            await eventually(lambda: credits_.looks >= before + 2, "two looks after one request")
            return True

        assert await two_more_looks()


def test_replicas_that_can_be_turned_to_are_looked_at_often_always():
    """Which of them is silent must be known before a request comes."""
    assert LOOK_SELDOM > 1
    assert Replicas("one", ["http://a"]).may_rest
    assert not Replicas("two", ["http://a", "http://b"]).may_rest
