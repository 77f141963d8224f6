"""The body of all error responses: RFC 9457 problem details, with `code`, `details`, `data` and `error`.

A pointer in `details` is a JSON pointer into the body, `?limit` for a query parameter, `header:If-Match` for a header.
"""

import re
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.params import ParameterKwarg
from litestar.types import Send

from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, Problem
from shared.eventstore import StoreUnavailable
from shared.telemetry.logging import get_logger

log = get_logger("http")

PROBLEM_MEDIA_TYPE = "application/problem+json"
NOTHING_DONE = "nothing was done: try again in a moment"
"""How a 503 ends that is safe to repeat without an Idempotency-Key."""

STATUS: dict[str, tuple[int, str]] = {
    "VALIDATION_FAILED": (400, "The request is not valid"),
    "WORKFLOW_NOT_EXECUTABLE": (400, "The workflow can't be run with these inputs"),
    "UNAUTHENTICATED": (401, "A valid bearer token is needed"),
    "INSUFFICIENT_CREDITS": (402, "Not enough credits"),
    "SPEND_LIMIT_REACHED": (402, "Over a spend limit"),
    "FORBIDDEN": (403, "Not allowed"),
    "PREVIEW_DISABLED": (403, "Not open to visitors"),
    "PREVIEW_LIMIT_REACHED": (403, "No more previews"),
    "NOT_FOUND": (404, "Not found"),
    "WORKFLOW_NOT_FOUND": (404, "No such workflow"),
    "METHOD_NOT_ALLOWED": (405, "Method not allowed"),
    "NOT_ACCEPTABLE": (406, "No such representation"),
    "CONFLICT": (409, "In conflict with the current state"),
    "JOB_HAS_ENDED": (409, "The job has ended"),
    "JOB_NOT_RESUMABLE": (409, "The job can't be resumed"),
    "PACKAGE_TOO_LARGE": (409, "The package is too large"),
    "REFUND_EXCEEDS_CAPTURE": (409, "More than the job captured"),
    "IDEMPOTENCY_KEY_IN_USE": (409, "The first request with this key is still running"),
    "VERSION_CONFLICT": (409, "It has changed since it was read"),
    "PAYLOAD_TOO_LARGE": (413, "The body is too large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "This media type is not understood"),
    "RANGE_NOT_SATISFIABLE": (416, "No such range"),
    "IDEMPOTENCY_KEY_REUSED": (422, "The key was used for another request"),
    "PRECONDITION_REQUIRED": (428, "If-Match is needed"),
    "RATE_LIMITED": (429, "Too many requests"),
    "INTERNAL_ERROR": (500, "An internal error"),
    "GENERATION_FAILED": (500, "The generation failed"),
    "MODEL_UNAVAILABLE": (503, "The model is not available"),
    "UNAVAILABLE": (503, "Not available right now"),
}
"""Each code's status and title. Codes that are not listed have status 400."""

_CODE_OF_STATUS = {
    400: "VALIDATION_FAILED",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    428: "PRECONDITION_REQUIRED",
    429: "RATE_LIMITED",
    503: "UNAVAILABLE",
}
_DETAIL_OF_STATUS = {
    404: "There is nothing at this address",
    405: "This address doesn't take this method; the Allow header lists those it takes",
    413: "The body is larger than this operation takes",
}


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """The error body on the wire; `error` repeats `detail` for clients of the older envelope."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    details: list[Detail] = []
    data: None = None
    error: str


def problem_body(problem: Problem, *, status: int | None = None) -> ProblemBody:
    """The body of a problem; `status` overrides the code's own, such as 412 for a stale If-Match."""
    default, title = STATUS.get(problem.code, (400, "Refused"))
    return ProblemBody(
        type=f"urn:emprops:problem:{problem.code.lower().replace('_', '-')}",
        title=title,
        status=status or default,
        detail=problem.detail,
        code=problem.code,
        details=problem.details,
        error=problem.detail,
    )


def problem_headers(status: int) -> dict[str, str]:
    """The headers that HTTP requires for some statuses."""
    if status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": 'Bearer realm="emprops"'}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"retry-after": "1"}
    return {}


def respond(
    problem: Problem, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Response[ProblemBody]:
    """A Litestar response of the error body."""
    body = problem_body(problem, status=status)
    later = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
    return Response(
        body,
        status_code=body.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={**problem_headers(body.status), **later, **(headers or {})},
    )


async def send_problem(send: Send, problem: Problem, *, status: int | None = None) -> None:
    """Sends a problem as a response, for plain ASGI code."""
    body = problem_body(problem, status=status)
    content = msgspec.json.encode(body)
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(content)).encode()),
        *((name.encode(), value.encode()) for name, value in problem_headers(body.status).items()),
    ]
    await send({"type": "http.response.start", "status": body.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


# --- faults in bodies ---

_AT = re.compile(r" - at (?:`key` in )?`\$(?P<path>[^`]*)`$")
_FIELD = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<field>.*)`$", re.DOTALL)
_TOKEN = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


def detail_of(error: msgspec.ValidationError) -> Detail:
    """Splits "Expected `int`, got `str` - at `$.steps[0].id`" into the pointer `/steps/0/id` and the message.

    For a member of a free-form object msgspec writes `[...]`: then the pointer is that of the object.
    """
    text = str(error)
    pointer = ""
    if at := _AT.search(text):
        text = text[: at.start()]
        for token in _TOKEN.finditer(at["path"]):
            name, index = token.groups()
            if name is None and index is None:
                text += " (in one of its members)"
                break
            pointer += f"/{escape_token(name) if name is not None else index}"
    if field := _FIELD.match(text):
        pointer += f"/{escape_token(field['field'])}"
        text = "is required" if field["what"] == "missing required" else "is not known here"
    return Detail(pointer, text)


def invalid_body(error: msgspec.ValidationError) -> Problem:
    """The problem for a body that is JSON, but not of the expected type."""
    detail = detail_of(error)
    return Problem("VALIDATION_FAILED", f"The body is not valid: {detail.pointer or 'it'}: {detail.message}", detail)


# --- faults in parameters ---

_MISSING = re.compile(r"^Missing required (?P<kind>\w+) parameter '(?P<name>.+)' for path ")


def _place(kind: ParamType | str | None, name: str) -> str:
    kind = kind.value if isinstance(kind, ParamType) else kind
    return f"?{name}" if kind in {None, "query"} else f"{kind}:{name}"


def _wire_name(request: Request[Any, Any, Any], name: str) -> str:
    """The name that clients use for a handler's argument: its alias, if it has one."""
    field = request.route_handler.parsed_fn_signature.parameters.get(name)
    kwarg = field.kwarg_definition if field is not None else None
    if isinstance(kwarg, ParameterKwarg):
        return kwarg.name or kwarg.header or kwarg.cookie or name
    return name


def _invalid_parameters(request: Request[Any, Any, Any], error: ValidationException) -> Problem:
    if missing := _MISSING.match(error.detail):
        place = _place(missing["kind"], missing["name"])
        return Problem("VALIDATION_FAILED", f"{place} is required", Detail(place, "is required"))
    details: list[Detail] = []
    for fault in error.extra if isinstance(error.extra, list) else []:
        name = str(fault.get("key", ""))
        if fault.get("source") == "body" or name == "data":
            details.append(Detail("", "a JSON body is required"))
        else:
            message = str(fault["message"])
            details.append(Detail(_place(fault.get("source"), _wire_name(request, name)), message))
    first = f"{details[0].pointer or 'The body'}: {details[0].message}" if details else error.detail
    return Problem("VALIDATION_FAILED", first, *details)


# --- exception handlers ---


def _on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[ProblemBody]:
    conditional = "if-match" in request.headers or "if-none-match" in request.headers
    stale = error.code == "VERSION_CONFLICT" and conditional
    return respond(error, status=412 if stale else None)


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemBody]:
    if isinstance(error, ValidationException):
        return respond(_invalid_parameters(request, error))
    code = _CODE_OF_STATUS.get(error.status_code)
    if code is None:
        return _on_exception(request, error)
    detail = _DETAIL_OF_STATUS.get(error.status_code, error.detail)
    return respond(Problem(code, detail), status=error.status_code, headers=error.headers)


def _on_unavailable(_request: Request[Any, Any, Any], error: StoreUnavailable) -> Response[ProblemBody]:
    log.warning("store unavailable", error=str(error))
    outcome = (
        "it may have been done or not: repeat it under the same Idempotency-Key to find out"
        if error.maybe_done
        else NOTHING_DONE
    )
    return respond(Problem("UNAVAILABLE", f"The service can't reach its database right now; {outcome}"))


def _on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemBody]:
    if isinstance(error, InternalServerException) and error.detail == "client disconnected prematurely":
        log.info("client went away while sending its body", method=request.method, path=request.scope["path"])
    else:
        log.error("request failed", method=request.method, path=request.scope["path"], exc_info=error)
    return respond(
        Problem(
            "INTERNAL_ERROR",
            "The service has failed to handle this request; report it with the X-Correlation-ID of this response",
        )
    )


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    Problem: _on_problem,
    HTTPException: _on_http_exception,
    StoreUnavailable: _on_unavailable,
    Exception: _on_exception,
}
