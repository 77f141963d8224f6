"""Routes by which owners change their collections."""

import asyncio
from functools import partial
from uuid import UUID

from litestar import Response, delete, post, put
from msgspec import UNSET

from services.collections import examples
from services.collections.domain.collection import archiving, editing, instructions, publishing
from services.collections.domain.collection.archiving import ArchiveCollection, RestoreCollection
from services.collections.domain.collection.editing import (
    ConfigurePreview,
    EditCollection,
    ReplaceVariables,
    SetReceivers,
)
from services.collections.domain.collection.publishing import CallOffPublication, PublishCollection
from services.collections.domain.collection.variable_table import variables_of
from services.collections.examples import shown
from services.collections.routes.answers import Change, Commands, Documents, Frame, Questions, variant_of
from services.collections.routes.bodies import CollectionBody, PreviewBody, PublishBody, ReceiversBody
from services.collections.views import CollectionView, PublishCheck
from shared.contracts.problem import Detail, Problem, invalid
from shared.http import ApiRequest, CommandContext, Envelope, FromPath, FromQuery, JSONBody, User
from shared.http.etag import etag
from shared.http.request import refuse_charset

MAX_TABLE = 4 * 1024 * 1024
"""Bytes: what `GET` gives of the largest collection, quoted as CSV quotes, can be put back."""

Published = Envelope[CollectionView] | Envelope[PublishCheck]


@put(
    "/projects/{project_id:uuid}/collections/{collection_id:uuid}",
    summary="Edit a collection",
    status_code=204,
    operation_class=shown(takes={"title": "First Light", "price": "0.05"}),
)
async def edit_collection(
    project_id: FromPath[UUID],
    collection_id: FromPath[UUID],
    data: JSONBody[CollectionBody],
    principal: User,
    change: Change,
    commands: Commands,
) -> Response[None]:
    """Changes the fields in the body. With If-Match, only if the collection is at that version."""
    written = None if data.data is UNSET else data.data
    command = EditCollection(
        user_id=principal.user_id,
        project_id=project_id,
        changes=data,
        data=written,
        component_ids=await commands.new_component_ids(written),
    )
    large = written is not None and instructions.is_large(written)
    return await change.tagged(collection_id, partial(editing.decide, command), large=large)


@put(
    "/collections/{collection_id:uuid}/variables.csv",
    summary="Set the variables from a table",
    status_code=204,
    request_max_body_size=MAX_TABLE,
    operation_class=shown(takes=examples.VARIABLES_CSV),
)
async def set_variables(
    collection_id: FromPath[UUID], request: ApiRequest, principal: User, change: Change
) -> Response[None]:
    """Replaces all variables by a text/csv table of the form that `GET` returns."""
    command = ReplaceVariables(principal.user_id, await asyncio.to_thread(variables_of, await _csv(request)))
    return await change.tagged(collection_id, partial(editing.decide, command), large=True)


@post(
    "/projects/{project_id:uuid}/collections/{collection_id:uuid}/receivers",
    summary="Share the sales",
    status_code=200,
    operation_class=shown(takes={"receivers": examples.RECEIVERS}, gives=examples.data(examples.DRAFT)),
)
async def set_receivers(
    project_id: FromPath[UUID],
    collection_id: FromPath[UUID],
    data: JSONBody[ReceiversBody],
    principal: User,
    change: Change,
) -> Response[Envelope[CollectionView]]:
    """Replaces all receivers. Their percentages sum to 100 at most."""
    shares = [(each.address, each.value, each.type) for each in data.receivers]
    command = SetReceivers(principal.user_id, project_id, shares)
    return await change.answered(collection_id, partial(editing.decide, command))


@put(
    "/collections/{collection_id:uuid}/preview",
    summary="Open a collection to visitors",
    status_code=200,
    operation_class=shown(
        takes={"enabled": True, "max_generations": 5, "is_remixable": True}, gives=examples.data(examples.OPENED)
    ),
)
async def configure_preview(
    collection_id: FromPath[UUID], data: JSONBody[PreviewBody], principal: User, change: Change
) -> Response[Envelope[CollectionView]]:
    """Whether others may try it out, how many artworks each may make, and whether they may remix it."""
    command = ConfigurePreview(
        user_id=principal.user_id,
        enabled=data.enabled,
        max_generations=data.max_generations,
        is_remixable=data.is_remixable,
    )
    return await change.answered(collection_id, partial(editing.decide, command))


@post(
    "/collections/{collection_id:uuid}/current",
    summary="Make a collection the current one",
    status_code=200,
    operation_class=shown(gives=examples.data(examples.DRAFT | {"is_current": True})),
)
async def choose_current_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    commands: Commands,
    questions: Questions,
) -> Response[Envelope[CollectionView]]:
    """The one of its project that you work on; there is one at most."""
    await commands.choose_current(principal.user_id, collection_id, context)
    shown = await questions.collection_for(principal.user_id, collection_id)
    return Response(Envelope(shown), headers={"etag": etag(shown.version, variant_of(shown))})


@post(
    "/collections/{collection_id:uuid}/publish",
    summary="Publish a collection",
    status_code=200,
    operation_class=shown(takes={"publish_date": "2026-11-23T12:00:00Z"}, gives=examples.data(examples.PUBLISHED)),
)
async def publish_collection(
    collection_id: FromPath[UUID],
    principal: User,
    change: Change,
    frame: Frame,
    metadata: Documents,
    *,
    dry_run: FromQuery[bool] = False,
    data: JSONBody[PublishBody | None] = None,
) -> Response[Published]:
    """Now, or at `publish_date`. From then on everybody sees it, and what was sold no longer changes.

    400 with one entry for each thing that is missing, or not valid on its chain. With `dry_run`, in the query or the
    body, 200 with all of them and the metadata that it would have on each chain; nothing is recorded.
    """
    date = data.publish_date if data is not None else None
    if dry_run or (data is not None and data.dry_run):
        return Response[Published](Envelope(await metadata.check(principal.user_id, collection_id, date)))
    command = PublishCollection(principal.user_id, frame.clock(), date)
    published = await change.answered(collection_id, partial(publishing.decide, command))
    return Response[Published](published.content, headers=published.headers)


@delete(
    "/collections/{collection_id:uuid}/publish",
    summary="Call off a scheduled publication",
    status_code=200,
    operation_class=shown(gives=examples.data(examples.DRAFT)),
)
async def call_off_publication(
    collection_id: FromPath[UUID], principal: User, change: Change
) -> Response[Envelope[CollectionView]]:
    """Cancels it; the collection stays a draft."""
    return await change.answered(collection_id, partial(publishing.decide, CallOffPublication(principal.user_id)))


@post(
    "/collections/{collection_id:uuid}/archive",
    summary="Archive a collection",
    status_code=200,
    operation_class=shown(gives=examples.data(examples.DRAFT | {"archived": True})),
)
async def archive_collection(
    collection_id: FromPath[UUID], principal: User, change: Change
) -> Response[Envelope[CollectionView]]:
    """Only you can see it then, and it can't be changed until it is restored."""
    return await change.answered(collection_id, partial(archiving.decide, ArchiveCollection(principal.user_id)))


@post(
    "/collections/{collection_id:uuid}/restore",
    summary="Restore a collection",
    status_code=200,
    operation_class=shown(gives=examples.data(examples.DRAFT)),
)
async def restore_collection(
    collection_id: FromPath[UUID], principal: User, change: Change
) -> Response[Envelope[CollectionView]]:
    """Makes an archived collection active again, unchanged."""
    return await change.answered(collection_id, partial(archiving.decide, RestoreCollection(principal.user_id)))


async def _csv(request: ApiRequest) -> str:
    if request.content_type[0] not in ("text/csv", ""):
        message = "must be text/csv"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    refuse_charset(request)
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        message = "the table is not UTF-8"
        raise invalid(message, Detail("", message)) from error
