"""Projects in the API."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.collections.domain.project import Project
from services.collections.projections.projects import ProjectRow


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    user_id: UUID
    is_default: bool
    version: Literal["v2"] = "v2"
    """Of the instructions that the project's collections are made of."""
    created_at: datetime


def project_view(row: ProjectRow) -> ProjectView:
    return ProjectView(
        id=row.id, name=row.name, user_id=row.user_id, is_default=row.is_default, created_at=row.created_at
    )


def project_view_of_state(state: Project, created_at: datetime) -> ProjectView:
    assert state.project_id is not None, "a project with a view exists"
    assert state.user_id is not None, "a project is created by a user"
    return ProjectView(
        id=state.project_id, name=state.name, user_id=state.user_id, is_default=state.is_default, created_at=created_at
    )
