"""Examples of bodies and responses in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)


def documented(*, request: Any = None, response: Any = None) -> type[Operation]:
    """An operation with examples of its body and its response: `@post(…, operation_class=documented(request=…))`.

    A request that is a string is a CSV table, whose body the handler reads by itself, so Litestar does not document it.
    """

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            if isinstance(request, str):
                table = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING), example=request)
                self.request_body = RequestBody(content={"text/csv": table}, required=True)
            elif request is not None:
                assert isinstance(self.request_body, RequestBody), "an operation with an example of its body has a body"
                _add_example(self.request_body.content, request)
            for status, answer in (self.responses or {}).items():
                if response is not None and status.startswith("2") and isinstance(answer, OpenAPIResponse):
                    _add_example(answer.content or {}, response)

    return Documented


def _add_example(content: dict[str, OpenAPIMediaType], example: Any) -> None:
    for media in content.values():
        media.example = _with_nulls(example)


def _with_nulls(value: Any) -> Any:
    """The value with its nulls as raw JSON: Litestar omits None from the document, in examples too."""
    if isinstance(value, dict):
        return {name: _with_nulls(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return msgspec.Raw(b"null") if value is None else value
