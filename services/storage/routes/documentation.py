"""OpenAPI that can't be derived from the handlers: bodies that are files, and headers that they read themselves."""

from dataclasses import dataclass

from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIFormat

TEXT = Schema(type=OpenAPIType.STRING)
FILE = {"*/*": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))}


def header(name: str, description: str, *, required: bool = False, schema: Schema = TEXT) -> Parameter:
    return Parameter(name=name, param_in="header", schema=schema, description=description, required=required)


@dataclass
class FileUpload(Operation):
    """The body is the file itself."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content=FILE, description="The file, of the type in Content-Type", required=True
        )
        self.parameters = [
            *(self.parameters or []),
            header("X-Filename", "The file's name, percent-encoded UTF-8", required=True),
            header(
                "X-Content-SHA256",
                "The body's sha256, in lower-case hexadecimal; other bytes are refused",
                schema=Schema(type=OpenAPIType.STRING, pattern="^[0-9a-f]{64}$"),
            ),
        ]


@dataclass
class FileDownload(Operation):
    """The response body is the file itself."""

    def __post_init__(self) -> None:
        self.parameters = [
            *(self.parameters or []),
            header("Range", "Ranges of bytes, such as `bytes=0-1023` or `bytes=0-99,200-299`"),
            header("If-Range", "Honour Range only while this is the file's ETag"),
            header("If-None-Match", "Answer 304 when this is the file's ETag"),
        ]
        self.responses = {
            **(self.responses or {}),
            "200": OpenAPIResponse(description="The whole file", content=FILE),
            "206": OpenAPIResponse(description="The range; of several ranges, `multipart/byteranges`", content=FILE),
            "304": OpenAPIResponse(description="Not modified: the client has the file"),
            "416": OpenAPIResponse(description="No range has a byte of the file"),
        }
