"""Changes of collections by a request, and responses to writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency

from services.collections.domain.collection.state import Collection
from services.collections.domain.project import Project
from services.collections.handlers.collection import CommandHandlers
from services.collections.queries.collection import Queries
from services.collections.settings import CollectionsSettings
from services.collections.views.collection import CollectionView
from services.collections.views.project import ProjectView, project_view_of_state
from services.collections.views.public import PublicCollection
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context, Handled
from shared.http import CommandContext, CommandPrecondition, Envelope, Precondition, User
from shared.http.etag import etag
from shared.runtime import Runtime

ANYONE = {"public": True}
"""For routes that need no token."""


@dataclass(frozen=True)
class CollectionChange:
    """Applies a request's command to a collection. Raises PRECONDITION_REQUIRED if If-Match is required and missing."""

    user_id: UUID
    context: Context
    precondition: Precondition
    handlers: CommandHandlers
    queries: Queries
    runtime: Runtime

    async def apply(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]], *, large: bool = False
    ) -> Response[None]:
        """Returns 204 with the ETag after the command; a repeated command gets the ETag of the first time.

        `large`: deciding takes long, so it runs in a thread.
        """
        handled = await self.handle(collection_id, decide, large=large)
        version = await self.handlers.version_after(collection_id, handled, self.context)
        return Response(None, status_code=204, headers={"etag": etag(version)})

    async def apply_and_view(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]]
    ) -> Response[Envelope[CollectionView]]:
        """Returns the collection after the command."""
        return await collection_answer(await self.handle(collection_id, decide), self.queries)

    async def handle(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]], *, large: bool = False
    ) -> Handled[Collection]:
        """The collection after the command."""
        settings = self.runtime.settings
        assert isinstance(settings, CollectionsSettings), "collections runs with its own settings"
        if settings.require_if_match and self.precondition.any_of is None:
            missing = Detail("header:If-Match", "is required")
            raise Problem(
                "PRECONDITION_REQUIRED", "Send If-Match with the ETag from your last read of the collection", missing
            )
        return await self.handlers.change(
            self.user_id, collection_id, decide, self.context, self.precondition, large=large
        )


def provide_change(
    principal: User,
    context: CommandContext,
    precondition: CommandPrecondition,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    runtime: NamedDependency[Runtime],
) -> CollectionChange:
    return CollectionChange(principal.user_id, context, precondition, handlers, queries, runtime)


def project_answer(handled: Handled[Project]) -> Envelope[ProjectView]:
    """The project after a write."""
    assert handled.began_at is not None, "a project that was written has events"
    return Envelope(project_view_of_state(handled.state, handled.began_at))


def variant_of(view: CollectionView | PublicCollection) -> str:
    """Distinguishes the representations of one version, for the ETag.

    They differ in whether its owner reads it, and whether the collection is the project's current one.
    """
    if isinstance(view, PublicCollection):
        return "public"
    return "current" if view.is_current else ""


async def collection_answer(
    handled: Handled[Collection], queries: Queries, *, status: int = 200
) -> Response[Envelope[CollectionView]]:
    """The collection after a write, with its ETag."""
    view = await queries.after(handled)
    return Response(Envelope(view), status_code=status, headers={"etag": etag(view.version, variant_of(view))})
