"""Archives collections and restores them. Idempotent."""

from functools import partial
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency

from services.collections.domain.collection import archiving
from services.collections.domain.collection.archiving import ArchiveCollection, RestoreCollection
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from shared.http import Envelope, FromPath, User


@post(
    "/collections/{collection_id:uuid}/archive",
    summary="Archive a collection",
    status_code=200,
    operation_class=documented(response=examples.data(examples.DRAFT | {"archived": True})),
)
async def archive_collection(
    collection_id: FromPath[UUID], principal: User, change: NamedDependency[CollectionChange]
) -> Response[Envelope[CollectionView]]:
    """Hides it from other users. It can't be changed until it is restored."""
    return await change.apply_and_view(collection_id, partial(archiving.decide, ArchiveCollection(principal.user_id)))


@post(
    "/collections/{collection_id:uuid}/restore",
    summary="Restore a collection",
    status_code=200,
    operation_class=documented(response=examples.data(examples.DRAFT)),
)
async def restore_collection(
    collection_id: FromPath[UUID], principal: User, change: NamedDependency[CollectionChange]
) -> Response[Envelope[CollectionView]]:
    """Makes an archived collection active again, unchanged."""
    return await change.apply_and_view(collection_id, partial(archiving.decide, RestoreCollection(principal.user_id)))
