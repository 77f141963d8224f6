"""Edits of a collection: its fields and instructions, its receivers, its preview."""

from functools import partial
from uuid import UUID

import msgspec
from litestar import Response, post, put
from litestar.di import NamedDependency
from msgspec import UNSET

from services.collections.domain.collection import editing, instructions
from services.collections.domain.collection.editing import ConfigurePreview, EditCollection, SetReceivers
from services.collections.handlers.collection import CommandHandlers
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.bodies import CollectionBody, PreviewBody, ReceiversBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from shared.http import Envelope, FromPath, JSONBody, User


@put(
    "/projects/{project_id:uuid}/collections/{collection_id:uuid}",
    summary="Edit a collection",
    status_code=204,
    operation_class=documented(request={"title": "First Light", "price": "0.05"}),
)
async def edit_collection(
    project_id: FromPath[UUID],
    collection_id: FromPath[UUID],
    data: JSONBody[CollectionBody],
    principal: User,
    change: NamedDependency[CollectionChange],
    handlers: NamedDependency[CommandHandlers],
) -> Response[None]:
    """Changes the fields in the body. With If-Match, only if the collection is at that version."""
    new_data = None if data.data is UNSET else data.data
    command = EditCollection(
        user_id=principal.user_id,
        project_id=project_id,
        changes=data,
        data=new_data,
        component_ids=await handlers.new_component_ids(new_data),
    )
    large = new_data is not None and instructions.is_large(new_data)
    return await change.apply(collection_id, partial(editing.decide, command), large=large)


@post(
    "/projects/{project_id:uuid}/collections/{collection_id:uuid}/receivers",
    summary="Share the sales and royalties",
    status_code=200,
    operation_class=documented(
        request={"receivers": examples.RECEIVERS, "royalty_receiver": None}, response=examples.data(examples.DRAFT)
    ),
)
async def set_receivers(
    project_id: FromPath[UUID],
    collection_id: FromPath[UUID],
    data: JSONBody[ReceiversBody],
    principal: User,
    change: NamedDependency[CollectionChange],
) -> Response[Envelope[CollectionView]]:
    """Replaces all receivers: of sales, together 100 % at most, and of royalties, together 25 % at most.

    Only those with the role `creator` are creators and authors in metadata. A contract on an EVM chain names one
    receiver of royalties (ERC-2981): if several share them, set `royalty_receiver`, a contract that splits them.
    """
    command = SetReceivers(principal.user_id, project_id, data.receivers, data.royalty_receiver)
    return await change.apply_and_view(collection_id, partial(editing.decide, command))


@put(
    "/collections/{collection_id:uuid}/preview",
    summary="Open a collection to visitors",
    status_code=200,
    operation_class=documented(
        request={"enabled": True, "max_generations": 5, "is_remixable": True}, response=examples.data(examples.OPENED)
    ),
)
async def configure_preview(
    collection_id: FromPath[UUID],
    data: JSONBody[PreviewBody],
    principal: User,
    change: NamedDependency[CollectionChange],
) -> Response[Envelope[CollectionView]]:
    """Sets whether others may try it out, how many artworks each may make at whose cost, and whether to remix it."""
    command = ConfigurePreview(user_id=principal.user_id, **msgspec.structs.asdict(data))
    return await change.apply_and_view(collection_id, partial(editing.decide, command))
