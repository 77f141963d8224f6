"""Shared by the routes: dependencies, and responses to writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency

from services.collections.domain.collection.state import Collection
from services.collections.domain.project import Project
from services.collections.handlers import Handlers
from services.collections.metadata import Metadata
from services.collections.queries import Queries
from services.collections.settings import CollectionsSettings
from services.collections.views import CollectionView, ProjectView, project_view_of_state
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context, Handled
from shared.http import CommandContext, Envelope, GivenPrecondition, Precondition, User
from shared.http.etag import etag
from shared.runtime import Runtime

Commands = NamedDependency[Handlers]
Questions = NamedDependency[Queries]
Documents = NamedDependency[Metadata]
Frame = NamedDependency[Runtime]

ANYONE = {"public": True}
"""For routes that need no token."""


@dataclass(frozen=True)
class CollectionChange:
    """Applies a request's change to a collection."""

    user_id: UUID
    context: Context
    precondition: Precondition
    commands: Handlers
    questions: Queries
    frame: Runtime

    async def make(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]], *, large: bool = False
    ) -> Handled[Collection]:
        """Appends what `decide` returns. `large`: deciding takes long, so it runs in a thread."""
        settings = self.frame.settings
        assert isinstance(settings, CollectionsSettings), "collections runs with its own settings"
        if settings.require_if_match and self.precondition.any_of is None:
            missing = Detail("header:If-Match", "is required")
            raise Problem(
                "PRECONDITION_REQUIRED", "Send If-Match with the ETag from your last read of the collection", missing
            )
        return await self.commands.change(
            self.user_id, collection_id, decide, self.context, self.precondition, large=large
        )

    async def tagged(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]], *, large: bool = False
    ) -> Response[None]:
        """Applies it and returns 204 with the ETag after it; a repeated command gets the ETag of the first time."""
        done = await self.make(collection_id, decide, large=large)
        version = await self.commands.version_made(collection_id, done, self.context)
        return Response(None, status_code=204, headers={"etag": etag(version)})

    async def answered(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]]
    ) -> Response[Envelope[CollectionView]]:
        """Applies it and returns the collection after it."""
        return await collection_answer(await self.make(collection_id, decide), self.questions)


Change = NamedDependency[CollectionChange]


def provide_change(
    principal: User,
    context: CommandContext,
    precondition: GivenPrecondition,
    commands: Commands,
    questions: Questions,
    frame: Frame,
) -> CollectionChange:
    return CollectionChange(principal.user_id, context, precondition, commands, questions, frame)


def project_answer(made: Handled[Project]) -> Envelope[ProjectView]:
    """The project after a write."""
    assert made.began_at is not None, "a project that was written has events"
    return Envelope(project_view_of_state(made.state, made.began_at))


def variant_of(shown: CollectionView) -> str:
    """Tells representations of one version apart, for the ETag.

    They differ in whether `data` is included, and whether the collection is the project's current one.
    """
    return "public" if shown.data is None else "current" if shown.is_current else ""


async def collection_answer(
    done: Handled[Collection], questions: Queries, *, status: int = 200
) -> Response[Envelope[CollectionView]]:
    """The collection after a write, with its ETag."""
    shown = await questions.after(done)
    return Response(Envelope(shown), status_code=status, headers={"etag": etag(shown.version, variant_of(shown))})
