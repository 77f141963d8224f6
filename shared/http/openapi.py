"""The OpenAPI 3.1 document of a service, at /schema/openapi.json: Litestar's own, completed with the errors."""

from collections.abc import Container
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from shared.http.problems import PROBLEM_MEDIA_TYPE, STATUS, ProblemBody

BEARER = "bearer"
_DOCUMENTED = {
    "400": "The request is not valid",
    "401": "A valid bearer token is needed",
    "403": "Not allowed",
    "404": "It does not exist, or is not yours",
    "409": "In conflict with what is there",
    "412": "If-Match names an older version",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "503": "Not available right now",
}
_WRITES = {"post", "put", "patch", "delete"}
_METHODS = {*_WRITES, "get", "head", "options", "trace"}


def problem_components() -> dict[str, Any]:
    """The schemas of the error body, with an example and the list of codes."""
    _, schemas = msgspec.json.schema_components([ProblemBody], ref_template="#/components/schemas/{name}")
    body = schemas["ProblemBody"]
    body["properties"]["code"]["examples"] = sorted(STATUS)
    body["examples"] = [
        {
            "type": "urn:emprops:problem:validation-failed",
            "title": "The request is not valid",
            "status": 400,
            "detail": "The body is not valid: /data/steps/0/id: Expected `int`, got `str`",
            "code": "VALIDATION_FAILED",
            "details": [{"pointer": "/data/steps/0/id", "message": "Expected `int`, got `str`"}],
            "data": None,
            "error": "The body is not valid: /data/steps/0/id: Expected `int`, got `str`",
        }
    ]
    return schemas


def _statuses(method: str, operation: dict[str, Any], *, public: bool) -> list[str]:
    statuses = ["503"]
    if not public:
        statuses += ["401", "403"]
    if operation.get("parameters") or "requestBody" in operation or method in _WRITES:
        statuses.append("400")
    if any(parameter.get("in") == "path" for parameter in operation.get("parameters", [])):
        statuses.append("404")
    if method in _WRITES:
        statuses += ["409", "412"]
    if "requestBody" in operation:
        statuses += ["413", "415"]
    return sorted(statuses)


def _public_operations(app: Litestar) -> set[tuple[str, str]]:
    """Path and method of the operations that need no token."""
    return {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.opt.get("public")
        for method in handler.http_methods
    }


def complete(document: dict[str, Any], open_operations: Container[tuple[str, str]] = ()) -> dict[str, Any]:
    """Adds the error responses to every operation in place, and takes the token off the public ones."""
    document.setdefault("components", {}).setdefault("schemas", {}).update(problem_components())
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method not in _METHODS:
                continue
            public = (path, method) in open_operations
            if public:
                operation["security"] = []
            responses = {
                status: response
                for status, response in operation.get("responses", {}).items()
                if not status.startswith(("4", "5"))
            }
            for status in _statuses(method, operation, public=public):
                responses[status] = {"description": _DOCUMENTED[status], "content": content}
            operation["responses"] = responses
    return document


class _CompletedPlugin(JsonRenderPlugin):
    def __init__(self) -> None:
        super().__init__(path=["/openapi.json", "/"])
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._rendered is None:
            self._rendered = self.render_json(request, complete(openapi_schema, _public_operations(request.app)))
        return self._rendered


def openapi_config(title: str, version: str, description: str | None = None) -> OpenAPIConfig:
    """Litestar's configuration for the document of one service."""
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        use_handler_docstrings=True,
        components=Components(
            security_schemes={BEARER: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{BEARER: []}],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt={"public": True}),
        render_plugins=[_CompletedPlugin()],
    )
