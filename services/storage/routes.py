"""HTTP → command or query → response. A file is the request body, and is streamed."""

import re
from uuid import UUID, uuid5

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from services.storage import queries
from services.storage.documentation import FileUpload
from services.storage.domain.asset import asset_stream
from services.storage.domain.grant import grant_of
from services.storage.domain.paths import clean_name, decode_name, media_type, upload_prefix
from services.storage.handlers import Files, Incoming, Stored
from services.storage.projections.assets import row_of
from services.storage.views import AssetView, Links
from shared.contracts.problem import Detail, Problem, invalid
from shared.eventstore import EventStore
from shared.http import (
    ApiRequest,
    CommandContext,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    Limit,
    Page,
    User,
    decode_cursor,
    encode_cursor,
)
from shared.http.positions import following
from shared.projections import Projector

NEWEST = 2**53
SHA256 = re.compile(r"[0-9a-f]{64}")

StoreDependency = NamedDependency[EventStore]
FilesDependency = NamedDependency[Files]
LinksDependency = NamedDependency[Links]
ProjectorDependency = NamedDependency[Projector]


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
    files: FilesDependency,
    store: StoreDependency,
    projector: ProjectorDependency,
    links: LinksDependency,
) -> Response[Envelope[AssetView]]:
    """For workers, with the upload grant of their step: the body is the file.

    `X-Filename` is its name in percent-encoded UTF-8; `X-Content-SHA256`, if sent, must be the body's. Idempotent: the
    same file again is answered with 200, another one at the same path with 409.
    """
    grant = grant_of(principal.claims, principal.user_id)
    name = file_name(request)
    incoming = Incoming(
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
    stored = await files.take_in(incoming, request.stream(), msgspec.structs.replace(context, repeatable=False))
    return await answer(stored, store, projector, links)


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
    files: FilesDependency,
    store: StoreDependency,
    projector: ProjectorDependency,
    links: LinksDependency,
) -> Response[Envelope[AssetView]]:
    """The body is the file.

    `X-Filename` is its name in percent-encoded UTF-8; `X-Content-SHA256`, if sent, must be the body's.
    """
    name = file_name(request)
    mime_type = media_type(request.headers.get("content-type"))
    if mime_type.startswith("multipart/"):
        message = "must be the file's own type: send the file itself as the body, and its name as X-Filename"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    incoming = Incoming(
        user_id=principal.user_id,
        name=name,
        path=upload_prefix(principal.user_id, uuid5(context.command_id, "upload")) + name,
        mime_type=mime_type,
        sha256=declared_sha256(request),
        size=request.content_length,
    )
    stored = await files.take_in(incoming, request.stream(), context)
    return await answer(stored, store, projector, links)


@get("/assets", summary="Your files", opt=following("generation"))
async def list_assets(
    principal: User,
    store: StoreDependency,
    links: LinksDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
    job_id: FromQuery[UUID | None] = None,
    collection_id: FromQuery[UUID | None] = None,
) -> Page[AssetView]:
    """Newest first; with `job_id` or `collection_id`, those made by one job or for one collection."""
    below = NEWEST if cursor is None else max(0, min(decode_cursor(cursor, int), NEWEST))
    rows = await queries.assets_of_user(
        store, principal.user_id, below=below, limit=limit + 1, job_id=job_id, collection_id=collection_id
    )
    page, more = rows[:limit], len(rows) > limit
    return Page([links.view(row) for row in page], encode_cursor(page[-1].asset_id) if more else None)


@get("/assets/{asset_id:int}", summary="One of your files", opt=following("generation"))
async def read_asset(
    asset_id: FromPath[int], principal: User, store: StoreDependency, links: LinksDependency
) -> Envelope[AssetView]:
    """A file's type, size and sha256, and the data that it was made from."""
    return Envelope(links.view(await queries.asset_of(store, asset_id, principal.user_id)))


async def answer(
    stored: Stored, store: EventStore, projector: Projector, links: Links
) -> Response[Envelope[AssetView]]:
    is_caught_up = await projector.caught_up(stored.position)
    event = stored.asset.stored
    row = await queries.asset(store, event.asset_id) if is_caught_up else None
    if row is None:  # the read table is too far behind: answer from the event
        history = await store.read_stream(asset_stream(event.path), limit=1)
        row = row_of(event, history[0].recorded_at)
    return Response(Envelope(links.view(row)), status_code=201 if stored.created else 200)


def file_name(request: ApiRequest) -> str:
    """The file name of a request. Raises VALIDATION_FAILED at `header:X-Filename`."""
    header = request.headers.get("x-filename")
    if header is None:
        raise invalid("X-Filename is required", Detail("header:X-Filename", "is required"))
    return clean_name(decode_name(header, "header:X-Filename"), "header:X-Filename")


def declared_sha256(request: ApiRequest) -> str | None:
    header = request.headers.get("x-content-sha256")
    if header is not None and not SHA256.fullmatch(header):
        message = "must be 64 lower-case hexadecimal digits"
        raise invalid(f"X-Content-SHA256 {message}", Detail("header:X-Content-SHA256", message))
    return header
