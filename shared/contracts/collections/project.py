"""Events of a project: a user's folder of collections."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.event import Event


class ProjectEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "project"


class ProjectCreated(ProjectEvent, frozen=True, tag="project_created.v1"):
    """A project was created; a user has one default project."""

    project_id: UUID
    user_id: UUID
    name: str
    is_default: bool


class ProjectRenamed(ProjectEvent, frozen=True, tag="project_renamed.v1"):
    """The project has another name."""

    project_id: UUID
    name: str


class CurrentCollectionChosen(ProjectEvent, frozen=True, tag="current_collection_chosen.v1"):
    """The collection that a project's owner works on was chosen; a project has one at most."""

    project_id: UUID
    collection_id: UUID
    previous_collection_id: UUID | None


PROJECT_EVENTS: tuple[type[ProjectEvent], ...] = (ProjectCreated, ProjectRenamed, CurrentCollectionChosen)
