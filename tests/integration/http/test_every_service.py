"""What every service has besides its own routes: roles, one command per request, its document, metrics, health."""

from uuid import uuid4

import jsonschema

from tests.integration.http.drafts import DRAFTS, Service


async def test_roles_open_what_they_are_for(service: Service) -> None:
    """Operators pass the guard, workers only routes that take them, and public routes need no token."""
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


async def test_a_request_is_one_command_in_one_trace(service: Service) -> None:
    """Correlation id, trace and key of the request are those of its command, and the id is answered."""
    correlation = str(uuid4())
    headers = {
        "X-Correlation-ID": correlation,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "Idempotency-Key": "once",
        "If-Match": '"4"',
        **service.issuer.bearer(uuid4()),
    }
    first, body = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    _, again = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    context = body["data"]["context"]
    assert first.headers["X-Correlation-ID"] == context["correlation_id"] == correlation
    assert context["traceparent"].startswith(f"00-{'a' * 32}-")
    assert context["repeatable"] is True
    assert context["command_id"] == again["data"]["context"]["command_id"]
    assert body["data"]["versions"] == [4]


async def test_the_document_describes_operations_and_errors(service: Service) -> None:
    """OpenAPI 3.1 with the security scheme, the error responses, and a schema that the real error body fits."""
    _, document = await service.call("GET", "/schema/openapi.json")
    assert document["openapi"].startswith("3.1")
    make_draft = document["paths"]["/projects/{project_id}/drafts"]["post"]
    assert {"201", "400", "401", "404", "412", "413"} <= set(make_draft["responses"])
    assert "application/problem+json" in make_draft["responses"]["400"]["content"]
    assert document["paths"]["/open"]["get"]["security"] == []
    assert {each["name"] for each in make_draft["parameters"]} == {"project_id", "Idempotency-Key", "If-Match"}
    assert make_draft["operationId"] == "make"
    assert {"EnvelopeOfMade", "PageOfStep"} <= set(document["components"]["schemas"])
    assert not {path for path in document["paths"] if path.startswith(("/health", "/metrics", "/schema"))}

    _, problem = await service.call("GET", "/drafts?limit=0")
    schema = {"$ref": "#/components/schemas/ProblemBody", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(problem)


async def test_metrics_count_by_route_template(service: Service) -> None:
    """Ids in paths do not become labels, and unknown paths share one."""
    await service.call("POST", DRAFTS, json={"data": []})
    await service.call("GET", "/nothing/1")
    async with service.client.get(f"{service.url}/metrics") as response:
        text = await response.text()
    assert 'route="/projects/{project_id}/drafts",status="201"' in text
    assert 'route="unmatched",status="404"' in text
    assert "process_resident_memory_bytes" in text


async def test_health_answers_without_a_token(service: Service) -> None:
    """Live and ready are for machines that have none."""
    for path in ("/health/live", "/health/ready"):
        async with service.client.get(service.url + path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok", "checks": {}})
