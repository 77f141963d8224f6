"""Upload grants: tokens with which a worker writes one step's files. Generation signs them, storage accepts them."""

from uuid import UUID

import msgspec

ISSUER = "emprops-generation"
"""The `iss` of grants; users' tokens have another one."""
ROLES = frozenset({"worker"})
"""The roles that a grant can give at most."""


class Grant(msgspec.Struct, frozen=True):
    """The claim `grant`; the token's `sub` is the user on whose behalf the worker writes."""

    prefix: str
    """The folder to write to: `step_prefix` of the step."""
    job_id: UUID
    gid: UUID
    sid: UUID
    collection_id: UUID
    component_id: int
    read_job: UUID
    """The job whose files may be read, if they are the user's."""
    read_files: dict[str, UUID] = {}
    """Other files that may be read, by their ids in storage: if they are the files of these users."""


def step_prefix(user_id: UUID, job_id: UUID, gid: UUID, sid: UUID) -> str:
    """The folder of one step's files in storage."""
    return f"generations/{user_id}/{job_id}/{gid}/{sid}/"
