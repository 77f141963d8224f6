"""What every service has besides its routes: roles, command contexts, the OpenAPI document, metrics and health."""

from uuid import uuid4

import jsonschema

from tests.integration.http.drafts import DRAFTS, Service


async def test_routes_accept_only_their_roles(service: Service) -> None:
    """Operators pass the guard, workers only on routes that accept them; public routes need no token."""
    user = uuid4()
    statuses = [
        (await service.call(method, path, *roles))[0].status
        for method, path, *roles in [
            ("GET", "/operators", "user", "operator"),
            ("GET", "/workers", "worker"),
            ("GET", "/drafts", "worker"),
            ("GET", "/drafts", "nobody"),
        ]
    ]
    assert statuses == [200, 200, 403, 403]
    async with service.client.get(f"{service.url}/open") as response:
        assert response.status == 200
    _, body = await service.call("POST", DRAFTS, json={"data": []}, headers=service.issuer.bearer(user))
    assert body["data"]["user_id"] == str(user)


async def test_a_request_has_one_command_context(service: Service) -> None:
    """With its correlation id, trace and key; the response has the correlation id."""
    correlation = str(uuid4())
    headers = {
        "X-Correlation-ID": correlation,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "Idempotency-Key": "once",
        "If-Match": '"4"',
        **service.issuer.bearer(uuid4()),
    }
    first, body = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    _, repeated = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    context = body["data"]["context"]
    assert first.headers["X-Correlation-ID"] == context["correlation_id"] == correlation
    assert context["traceparent"].startswith(f"00-{'a' * 32}-")
    assert context["repeatable"] is True
    assert context["command_id"] == repeated["data"]["context"]["command_id"]
    assert body["data"]["versions"] == [4]


async def test_the_document_describes_operations_and_errors(service: Service) -> None:
    """OpenAPI 3.1 with the security scheme, the error responses, and a schema that a real error body matches."""
    _, document = await service.call("GET", "/schema/openapi.json")
    assert document["openapi"].startswith("3.1")
    make_draft = document["paths"]["/projects/{project_id}/drafts"]["post"]
    assert {"201", "400", "401", "404", "412", "413"} <= set(make_draft["responses"])
    assert "application/problem+json" in make_draft["responses"]["400"]["content"]
    assert document["paths"]["/open"]["get"]["security"] == []
    assert {parameter["name"] for parameter in make_draft["parameters"]} == {
        "project_id",
        "Idempotency-Key",
        "If-Match",
    }
    assert make_draft["operationId"] == "make"
    assert {"EnvelopeOfMade", "PageOfStep"} <= set(document["components"]["schemas"])
    assert not {path for path in document["paths"] if path.startswith(("/health", "/metrics", "/schema"))}

    _, problem = await service.call("GET", "/drafts?limit=0")
    schema = {"$ref": "#/components/schemas/ProblemBody", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(problem)


async def test_metrics_count_by_route_template(service: Service) -> None:
    """Ids in paths are not labels, and unknown paths share one."""
    await service.call("POST", DRAFTS, json={"data": []})
    await service.call("GET", "/nothing/1")
    async with service.client.get(f"{service.url}/metrics") as response:
        text = await response.text()
    assert 'route="/projects/{project_id}/drafts",status="201"' in text
    assert 'route="unmatched",status="404"' in text
    assert "process_resident_memory_bytes" in text


async def test_health_needs_no_token(service: Service) -> None:
    for path in ("/health/live", "/health/ready"):
        async with service.client.get(service.url + path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok", "checks": {}})
