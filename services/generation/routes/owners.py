"""Whose jobs a request may read and change."""

from uuid import UUID

from shared.http.auth import Principal


def owner_of(principal: Principal) -> UUID | None:
    """The user to whom the job must belong; None for operators, who may use any job."""
    return None if "operator" in principal.roles else principal.user_id
