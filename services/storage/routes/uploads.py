"""Uploads. The file is the request body, and is streamed."""

import re
from uuid import uuid5

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from services.storage.domain.grant import grant_of
from services.storage.domain.paths import clean_name, decode_name, media_type, upload_prefix
from services.storage.handlers.asset import CommandHandlers, FileDeclaration, StoredFile
from services.storage.queries.asset import Queries
from services.storage.routes.documentation import FileUpload
from services.storage.views import AssetView, Links
from shared.contracts.problem import Detail, Problem, invalid
from shared.http import ApiRequest, CommandContext, Envelope, User

SHA256 = re.compile(r"[0-9a-f]{64}")


@post(
    "/uploads",
    summary="Store a file of a step",
    opt={"roles": {"worker"}, "streams": True},
    request_max_body_size=None,
    operation_class=FileUpload,
)
async def upload(
    request: ApiRequest,
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    links: NamedDependency[Links],
) -> Response[Envelope[AssetView]]:
    """For workers, with the upload grant of their step: the body is the file.

    `X-Filename` is its name in percent-encoded UTF-8; `X-Content-SHA256`, if sent, must be the body's. Idempotent: the
    same file again is answered with 200, another one at the same path with 409.
    """
    grant = grant_of(principal.claims, principal.user_id)
    name = file_name(request)
    declared = FileDeclaration(
        user_id=principal.user_id,
        name=name,
        path=grant.prefix + name,
        mime_type=media_type(request.headers.get("content-type")),
        sha256=declared_sha256(request),
        size=request.content_length,
        job_id=grant.job_id,
        gid=grant.gid,
        sid=grant.sid,
        collection_id=grant.collection_id,
        component_id=grant.component_id,
    )
    # The command id derives from the step's own path and the content, so no Idempotency-Key is needed.
    unrepeatable = msgspec.structs.replace(context, repeatable=False)
    return await answer(await handlers.store_file(declared, request.stream(), unrepeatable), queries, links)


@post(
    "/assets",
    summary="Store a file",
    opt={"streams": True},
    request_max_body_size=None,
    operation_class=FileUpload,
)
async def store_asset(
    request: ApiRequest,
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    links: NamedDependency[Links],
) -> Response[Envelope[AssetView]]:
    """The body is the file.

    `X-Filename` is its name in percent-encoded UTF-8; `X-Content-SHA256`, if sent, must be the body's.
    """
    name = file_name(request)
    mime_type = media_type(request.headers.get("content-type"))
    if mime_type.startswith("multipart/"):
        message = "must be the file's own type: send the file itself as the body, and its name as X-Filename"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    declared = FileDeclaration(
        user_id=principal.user_id,
        name=name,
        path=upload_prefix(principal.user_id, uuid5(context.command_id, "upload")) + name,
        mime_type=mime_type,
        sha256=declared_sha256(request),
        size=request.content_length,
    )
    return await answer(await handlers.store_file(declared, request.stream(), context), queries, links)


async def answer(stored: StoredFile, queries: Queries, links: Links) -> Response[Envelope[AssetView]]:
    view = links.view(await queries.after(stored))
    return Response(Envelope(view), status_code=201 if stored.created else 200)


def file_name(request: ApiRequest) -> str:
    """The file name of a request. Raises VALIDATION_FAILED at `header:X-Filename`."""
    header = request.headers.get("x-filename")
    if header is None:
        raise invalid("X-Filename is required", Detail("header:X-Filename", "is required"))
    return clean_name(decode_name(header, "header:X-Filename"), "header:X-Filename")


def declared_sha256(request: ApiRequest) -> str | None:
    """The sha256 that a request declares. Raises VALIDATION_FAILED at `header:X-Content-SHA256`."""
    header = request.headers.get("x-content-sha256")
    if header is not None and not SHA256.fullmatch(header):
        message = "must be 64 lower-case hexadecimal digits"
        raise invalid(f"X-Content-SHA256 {message}", Detail("header:X-Content-SHA256", message))
    return header
