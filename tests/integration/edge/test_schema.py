"""What the edge answers itself: the public document, its viewer, the key set, health."""

import json
from pathlib import Path
from typing import Any

from tests.support.edge_client import Edge, EdgeClient
from tests.support.patience import eventually
from tests.support.serving import free_port, serving
from tests.support.tokens import TokenIssuer
from tests.support.upstream import Exchange, UpstreamStub

Services = dict[str, UpstreamStub]


def operation(reference: str, **more: Any) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{reference}"}
    return {
        "operationId": "Do",
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}}},
        **more,
    }


PROBLEM = {"type": "object", "properties": {"code": {"type": "string"}}}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "collections": {
        "openapi": "3.1.0",
        "paths": {
            "/collections": {"get": operation("Page"), "post": operation("Page")},
            "/collections/{id}/generations": {"post": operation("Page")},
            "/internal": {"get": operation("Page")},
        },
        "components": {
            "schemas": {
                "Page": {"type": "object", "properties": {"data": {"$ref": "#/components/schemas/Item"}}},
                "Item": {"type": "object", "properties": {"title": {"type": "string"}}},
                "Problem": PROBLEM,
                "Unused": {},
            }
        },
    },
    "generation": {
        "openapi": "3.1.0",
        "paths": {"/jobs": {"get": operation("Page")}, "/jobs/{id}": {"get": operation("Problem")}},
        "components": {
            "schemas": {
                "Page": {"type": "object", "properties": {"data": {"$ref": "#/components/schemas/Item"}}},
                "Item": {"type": "object", "properties": {"status": {"type": "string"}}},
                "Problem": PROBLEM,
            }
        },
    },
    "storage": {
        "openapi": "3.1.0",
        "paths": {"/uploads": {"post": operation("Problem")}, "/assets": {"get": operation("Problem")}},
        "components": {"schemas": {"Problem": PROBLEM}},
    },
    "credits": {
        "openapi": "3.1.0",
        "paths": {"/credits": {"get": operation("Problem")}},
        "components": {"schemas": {"Problem": PROBLEM}},
    },
}


def publish(services: Services) -> None:
    for name, stub in services.items():

        async def answer(exchange: Exchange, document: Any = DOCUMENTS[name]) -> None:
            assert exchange.scope["path"] == "/schema/openapi.json"
            await exchange.answer(json.dumps(document).encode(), content_type="application/json")

        stub.answer = answer


def resolve(document: dict[str, Any], reference: str) -> Any:
    value: Any = document
    for token in reference.removeprefix("#/").split("/"):
        value = value[token]
    return value


async def test_one_document_describes_all_public_operations(edge: EdgeClient, services: Services) -> None:
    """Each operation comes from the service that answers it; internal ones and foreign ones are left out."""
    publish(services)
    status, document = await edge.json("GET", "/schema/openapi.json", anonymous=True)
    assert (status, document["openapi"]) == (200, "3.1.0")
    assert {path: sorted(set(item) - {"parameters"}) for path, item in document["paths"].items()} == {
        "/assets": ["get"],
        "/collections": ["get", "post"],
        "/credits": ["get"],
        "/jobs": ["get"],
        "/jobs/{id}": ["get"],
    }
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/collections"]["get"]["security"] == []
    assert document["paths"]["/collections"]["post"]["security"] == [{"bearer": []}]
    ids = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


async def test_names_that_clash_are_told_apart(edge: EdgeClient, services: Services) -> None:
    """Two services' Page and Item are two each, their common Problem is one, and no reference dangles."""
    publish(services)
    _, document = await edge.json("GET", "/schema/openapi.json", anonymous=True)
    assert set(document["components"]["schemas"]) == {
        "CollectionsPage",
        "CollectionsItem",
        "GenerationPage",
        "GenerationItem",
        "Problem",
    }

    def schema_of(path: str) -> Any:
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        return resolve(document, content["application/json"]["schema"]["$ref"])

    jobs = resolve(document, schema_of("/jobs")["properties"]["data"]["$ref"])
    collections = resolve(document, schema_of("/collections")["properties"]["data"]["$ref"])
    assert (list(jobs["properties"]), list(collections["properties"])) == (["status"], ["title"])


async def test_a_service_that_is_down_leaves_the_rest_documented(start_edge: Edge, services: Services) -> None:
    """Its part is missing until it has been seen once."""
    publish(services)
    edge = await start_edge(credits_url=f"http://127.0.0.1:{free_port()}", restart_window=0.1)
    status, document = await edge.json("GET", "/schema/openapi.json", anonymous=True)
    assert status == 200
    assert "/credits" not in document["paths"]
    assert "/jobs" in document["paths"]


async def test_the_viewer_loads_nothing_from_elsewhere(edge: EdgeClient) -> None:
    """One page without any foreign address, under a policy that forbids them."""
    async with edge.request("GET", "/schema", anonymous=True) as response:
        page = await response.text()
        assert response.content_type == "text/html"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "http://" not in page
    assert "https://" not in page


async def test_the_key_set_is_public_and_only_that(start_edge: Edge, issuer: TokenIssuer, tmp_path: Path) -> None:
    """Whatever the file holds, private members and symmetric keys are not served."""
    path = tmp_path / "careless.json"
    path.write_text(json.dumps({"keys": [{**issuer.jwk, "d": "private"}, {"kty": "oct", "k": "secret"}]}))
    edge = await start_edge(jwks_file=str(path))
    status, document = await edge.json("GET", "/.well-known/jwks.json", anonymous=True)
    assert (status, document) == (200, {"keys": [issuer.jwk]})


async def test_health_says_whether_requests_can_be_passed_on(start_edge: Edge, tmp_path: Path) -> None:
    """Ready with keys and a replica of every service; what is missing is named, until it is there again."""

    async def told(status: int, words: str, **changed: str) -> None:
        edge = await start_edge(**changed)

        async def says_so() -> bool:
            answer_status, health = await edge.json("GET", "/health/ready", anonymous=True)
            return answer_status == status and words in str(health)

        await eventually(says_so, f"readiness to answer {status} with {words!r}")

    dead_url = f"http://127.0.0.1:{free_port()}"
    await told(200, "'status': 'ok'")
    await told(503, f"credits: {dead_url} can't be reached", credits_url=dead_url)
    async with serving(UpstreamStub("well")) as well:
        await told(200, f"credits: {dead_url} can't be reached", credits_url=f"{dead_url},{well}")
    keyless = await start_edge(jwks_file=str(tmp_path / "missing.json"))
    assert (await keyless.json("GET", "/health/ready", anonymous=True))[0] == 503
    assert (await keyless.json("GET", "/health/live", anonymous=True))[0] == 200
