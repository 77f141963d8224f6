"""What routes share: their dependencies, and how a write is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency

from services.collections.domain.collection import Collection
from services.collections.domain.project import Project
from services.collections.handlers import Handlers
from services.collections.metadata import Metadata
from services.collections.queries import Queries
from services.collections.settings import CollectionsSettings
from services.collections.views import CollectionView, ProjectView, collection_view_of_state, project_view_of_state
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context, Handled, Loaded
from shared.http import CommandContext, Envelope, GivenPrecondition, Precondition, User, etag
from shared.runtime import Runtime

Commands = NamedDependency[Handlers]
Questions = NamedDependency[Queries]
Documents = NamedDependency[Metadata]
Frame = NamedDependency[Runtime]

ANYONE = {"public": True}
"""For routes that need no token."""


@dataclass(frozen=True)
class CollectionChange:
    """The one change of a collection that a request is."""

    user_id: UUID
    context: Context
    precondition: Precondition
    commands: Handlers
    questions: Queries
    frame: Runtime

    async def make(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]], *, large: bool = False
    ) -> Handled[Collection]:
        """Makes what is decided happen, and waits until reads show it. `large`: deciding takes long."""
        settings = self.frame.settings
        assert isinstance(settings, CollectionsSettings), "collections runs with its own settings"
        if settings.require_if_match and self.precondition.any_of is None:
            missing = Detail("header:If-Match", "is required")
            raise Problem("PRECONDITION_REQUIRED", "Send If-Match with the ETag of what you have read", missing)
        handled = await self.commands.change(
            self.user_id, collection_id, decide, self.context, self.precondition, large=large
        )
        await self.frame.caught_up(handled.position)
        return handled

    async def answered(
        self, collection_id: UUID, decide: Callable[[Collection], Sequence[Event]]
    ) -> Response[Envelope[CollectionView]]:
        """Makes it happen, and answers the collection as it is then."""
        return await collection_answer(await self.make(collection_id, decide), self.questions, self.frame)


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


async def project_answer(made: Handled[Project], questions: Queries, frame: Runtime) -> Envelope[ProjectView]:
    """The project after a write; from the state itself while the read tables are far behind."""
    project_id, user_id = made.state.project_id, made.state.user_id
    assert project_id is not None, "a project that was written has its id"
    assert user_id is not None, "a project that was written has its user"
    await frame.caught_up(made.position)
    shown = await questions.project(user_id, project_id)
    return Envelope(shown or project_view_of_state(made.state, frame.clock()))


def variant_of(shown: CollectionView) -> str:
    """What is shown beside its history tells two representations of one version apart.

    That is whether all of it is shown, and whether it is the current one of its project, which the project decides.
    """
    return "public" if shown.data is None else "current" if shown.is_current else ""


async def collection_answer(
    done: Handled[Collection] | Loaded[Collection], questions: Queries, frame: Runtime, *, status: int = 200
) -> Response[Envelope[CollectionView]]:
    """The collection after a write, with its ETag; from the state itself while the read tables are far behind."""
    assert done.state.collection_id is not None, "a collection that was written has its id"
    await frame.caught_up(done.position)
    shown = await questions.collection(done.state.collection_id)
    if shown is None or shown.version < done.version:
        now = frame.clock()
        shown = collection_view_of_state(done.state, done.version, created_at=now, updated_at=now)
    return Response(Envelope(shown), status_code=status, headers={"etag": etag(shown.version, variant_of(shown))})
