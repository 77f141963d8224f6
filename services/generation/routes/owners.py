"""Whose jobs a request may read and change."""

from uuid import UUID

from shared.http.auth import Principal


def owner_of(principal: Principal) -> UUID | None:
    """Whose the job must be; None: an operator may do this to anybody's."""
    return None if "operator" in principal.roles else principal.user_id
