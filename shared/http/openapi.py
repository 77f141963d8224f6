"""The OpenAPI 3.1 document of a service, at /schema/openapi.json: Litestar's own, completed.

Completed with what Litestar can't know: the error body, the headers that handlers read through their dependencies,
which operations need no token, and readable names of generic models.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from shared.http.etag import is_conditional
from shared.http.problems import PROBLEM_MEDIA_TYPE, STATUS, ProblemBody

BEARER = "bearer"
SCHEMAS = "#/components/schemas/"
_DOCUMENTED = {
    "400": "The request is not valid",
    "401": "A valid bearer token is needed",
    "403": "Not allowed",
    "404": "It does not exist, or is not yours",
    "409": "In conflict with the current state",
    "412": "If-Match names an older version",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "The Idempotency-Key was used for another request",
    "503": "Not available right now",
}
_WRITES = {"post", "put", "patch", "delete"}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request is the same command: sent again, it is not done again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag that the change is based on; 412 when it is no longer the current one",
    "schema": {"type": "string", "examples": ['"3"']},
}


_POSITION = {
    "name": "Emprops-Position",
    "in": "header",
    "description": "The values of this header in earlier responses: this response is not older than those, or is 503",
    "schema": {"type": "string", "examples": ["collections:1:4711"]},
}
_POSITION_HEADER = {
    "Emprops-Position": {
        "description": "Send it with later requests: their responses are then not older than this one",
        "schema": {"type": "string"},
    }
}


@dataclass(frozen=True)
class Traits:
    """Which kinds of errors an operation may answer, read from its handler."""

    public: bool = False
    command: bool = False
    conditional: bool = False


def _traits(app: Litestar) -> dict[tuple[str, str], Traits]:
    traits_of = {}
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            parameters = set(handler.parsed_fn_signature.parameters)
            traits = Traits(
                public=bool(handler.opt.get("public")),
                command=bool(parameters & {"context", "change"}),
                conditional=is_conditional(handler),
            )
            traits_of.update({(route.path_format, method.lower()): traits for method in handler.http_methods})
    return traits_of


def _problem_components() -> dict[str, Any]:
    """The schemas of the error body, with an example and the list of codes."""
    _, schemas = msgspec.json.schema_components([ProblemBody], ref_template=SCHEMAS + "{name}")
    body = schemas["ProblemBody"]
    body["properties"]["code"]["examples"] = sorted(STATUS)
    detail = "The body is not valid: /data/steps/0/id: Expected `int`, got `str`"
    example = {
        "type": "urn:emprops:problem:validation-failed",
        "title": "The request is not valid",
        "status": 400,
        "detail": detail,
        "code": "VALIDATION_FAILED",
        "details": [{"pointer": "/data/steps/0/id", "message": "Expected `int`, got `str`"}],
        "data": None,
        "error": detail,
    }
    body["examples"] = [example]
    return schemas


def _error_statuses(method: str, operation: dict[str, Any], traits: Traits) -> list[str]:
    statuses = ["503"]
    if not traits.public:
        statuses += ["401", "403"]
    if operation.get("parameters") or "requestBody" in operation:
        statuses.append("400")
    if any(_names_an_object(method, parameter) for parameter in operation.get("parameters", [])):
        statuses.append("404")
    if method in _WRITES:
        statuses.append("409")
    if traits.conditional:
        statuses.append("412")
    if "requestBody" in operation:
        statuses += ["413", "415"]
    if traits.command and method == "post":
        statuses.append("422")
    return statuses


def _names_an_object(method: str, parameter: dict[str, Any]) -> bool:
    """Whether the parameter names an object that must exist: in the path, or the id in a write; not a list's filter."""
    return parameter.get("in") == "path" or (method in _WRITES and str(parameter.get("name")).endswith("_id"))


def _complete_headers(method: str, operation: dict[str, Any], traits: Traits) -> None:
    """The headers that handlers read through their dependencies, and those that every answer to a write has."""
    read = {
        "Idempotency-Key": (_IDEMPOTENCY_KEY, traits.command and method == "post"),
        "If-Match": (_IF_MATCH, traits.conditional),
        "Emprops-Position": (_POSITION, method == "get"),
    }
    added = [header for header, is_read in read.values() if is_read]
    if added:
        operation.setdefault("parameters", []).extend(added)
    for status, response in operation.get("responses", {}).items():
        if traits.command and method != "get" and status.startswith("2"):
            response.setdefault("headers", {}).update(_POSITION_HEADER)


def _complete_operation(method: str, operation: dict[str, Any], traits: Traits) -> None:
    if traits.public:
        operation["security"] = []
    _complete_headers(method, operation, traits)
    responses = operation.setdefault("responses", {})
    for status in _error_statuses(method, operation, traits):
        responses[status] = {"description": _DOCUMENTED[status]}
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response["content"] = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}ProblemBody"}}}
    operation["responses"] = dict(sorted(responses.items()))


_GENERIC = re.compile(r"(?P<outer>[A-Za-z]+)_(?P<arguments>.*\..*)")


def _readable(name: str) -> str:
    """`Envelope_services.credits.queries.Balance_` → `EnvelopeOfBalance`."""
    if not (generic := _GENERIC.fullmatch(name)):
        return name
    models = re.findall(r"[A-Za-z0-9]+", re.sub(r"\w+\.", "", generic["arguments"]))
    return f"{generic['outer']}Of{''.join(models)}"


def _rename(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, names) for item in value]
    if isinstance(value, str) and value.startswith(SCHEMAS):
        name = value.removeprefix(SCHEMAS)
        return SCHEMAS + names.get(name, name)
    return value


def complete(document: dict[str, Any], traits: Mapping[tuple[str, str], Traits]) -> dict[str, Any]:
    """The document with the error responses, headers, open operations and readable names in it."""
    components = document.setdefault("components", {})
    schemas: dict[str, Any] = {**components.get("schemas", {}), **_problem_components()}
    names: dict[str, str] = {}
    for name in schemas:
        short_name = _readable(name)
        names[name] = name if short_name in schemas or short_name in names.values() else short_name
    components["schemas"] = {names[name]: schema for name, schema in schemas.items()}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if (path, method) in traits:
                _complete_operation(method, operation, traits[path, method])
    completed: dict[str, Any] = _rename(document, names)
    return completed


class _CompletedPlugin(JsonRenderPlugin):
    def __init__(self) -> None:
        super().__init__(path=["/openapi.json", "/"])
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._rendered is None:
            self._rendered = self.render_json(request, complete(openapi_schema, _traits(request.app)))
        return self._rendered


def _operation_id(handler: HTTPRouteHandler, method: Method, _path: list[str | PathParameterDefinition]) -> str:
    """The handler's name as clients generated from the document will call it: `publishCollection`."""
    first, *rest = (handler.fn.__name__ if handler.name is None else handler.name).strip("_").split("_")
    name = first + "".join(word.capitalize() for word in rest)
    return name if len(handler.http_methods) == 1 or method == "GET" else f"{name}{method.capitalize()}"


def openapi_config(title: str, version: str, description: str | None = None) -> OpenAPIConfig:
    """Litestar's configuration for the document of one service."""
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        components=Components(
            security_schemes={BEARER: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{BEARER: []}],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt={"public": True}),
        render_plugins=[_CompletedPlugin()],
    )
