"""fetch_api: `api.json`, `body.json` and `inputs.json`, one HTTP API whose answer holds the outputs.

The work message has the request with secrets' names in it; the http worker puts in their values.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from services.generation.domain.workflow.template import Placement, Template
from services.generation.domain.workflow.types.inputs import read_paths
from shared.contracts.problem import Detail, invalid, quote

SERVICE = "http_api"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
MAX_POLLING_SECONDS = 24 * 3600


def read(definition: Mapping[str, Any], fields: frozenset[str]) -> Template:
    """Raises VALIDATION_FAILED. Paths are relative to the whole of `body.json`."""
    api, body = definition["api"], definition.get("body")
    if not isinstance(api, Mapping):
        raise invalid("The workflow can't be read", Detail("/api", "must be an object"))
    inputs = read_paths(definition.get("inputs"), fields)
    faults = [*inputs.faults, *_api_faults(api)]
    if inputs.placements and not isinstance(body, Mapping | None):
        faults.append(Detail("/body", "is required, and must be an object, since inputs.json sets members of it"))
    if faults:
        raise invalid("The workflow can't be read", *faults)
    request: dict[str, Any] = {
        "method": api.get("method", "GET").upper(),
        "url": api["url"],
        "headers": dict(api.get("headers") or {}),
    }
    if body is not None or inputs.placements:
        request["body"] = {} if body is None else body
    fetch = api.get("fetchType", "wait")
    document = {"request": request, "success": _codes(api.get("successResponseCode", 200)), "fetch": fetch}
    document[fetch] = dict(api.get(fetch) or {})
    if fetch == "polling":
        document[fetch]["successResponseCode"] = _codes(document[fetch].get("successResponseCode", 200))
    placements = [
        Placement(placement.source, ("request", "body", *placement.path), placement.is_required, placement.default)
        for placement in inputs.placements
    ]
    return Template(document=document, placements=placements, service=SERVICE, notes=inputs.notes)


def _api_faults(api: Mapping[str, Any]) -> Iterator[Detail]:
    yield from _request_faults(api, "/api", "GET")
    headers = api.get("headers") or {}
    if not isinstance(headers, Mapping) or not all(isinstance(value, str) for value in headers.values()):
        yield Detail("/api/headers", "must be an object of texts")
    fetch = api.get("fetchType", "wait")
    if fetch not in {"wait", "polling"}:
        yield Detail("/api/fetchType", f"must be wait or polling, not {quote(fetch)}")
        return
    settings = api.get(fetch) or {}
    if not isinstance(settings, Mapping):
        yield Detail(f"/api/{fetch}", "is required, and must be an object")
        return
    if not isinstance(settings.get("outputExprJq", "."), str):
        yield Detail(f"/api/{fetch}/outputExprJq", "is required, and must be a jq expression")
    if fetch == "polling":
        yield from _polling_faults(settings)


def _polling_faults(polling: Mapping[str, Any]) -> Iterator[Detail]:
    yield from _request_faults(polling, "/api/polling", "GET")
    params = polling.get("params") or {}
    if not isinstance(params, Mapping) or not all(
        isinstance(param, Mapping) and isinstance(param.get("exprJq"), str) for param in params.values()
    ):
        yield Detail("/api/polling/params", "must be an object of {exprJq}, a jq expression over the first answer")
    expressions = {"continueWhenExpr", "continueWhenExprJq", "stopWhenExpr", "stopWhenExprJq"}
    for name in sorted(expressions & set(polling)):
        if not isinstance(polling[name], str):
            yield Detail(f"/api/polling/{name}", "must be an expression, such as data.status != 'SUCCEEDED'")
    timeout = polling.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 0:
        yield Detail("/api/polling/timeout", "must be a number of milliseconds, 0 or more")


def _request_faults(request: Mapping[str, Any], pointer: str, default: str) -> Iterator[Detail]:
    method = request.get("method", default)
    if not isinstance(method, str) or method.upper() not in METHODS:
        yield Detail(f"{pointer}/method", f"must be one of {', '.join(sorted(METHODS))}, not {quote(method)}")
    url = request.get("url")
    if not isinstance(url, str) or not _is_http(url):
        yield Detail(f"{pointer}/url", "is required, and must be an http or https URL")
    codes = request.get("successResponseCode", 200)
    if not all(isinstance(code, int) and 100 <= code <= 599 for code in _codes(codes)):
        yield Detail(f"{pointer}/successResponseCode", "must be an HTTP status from 100 to 599, or a list of them")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _codes(codes: Any) -> list[Any]:
    return codes if isinstance(codes, list) else [codes]
