"""An upload grant: permission for a worker to write one step's files and to read one job's files."""

from uuid import UUID

import msgspec

from services.storage.domain.paths import generation_prefix
from shared.contracts.problem import Problem


class Grant(msgspec.Struct, frozen=True):
    """The claim `grant` of generation's tokens; the token's `sub` is the user on whose behalf the worker writes."""

    prefix: str
    job_id: UUID
    gid: UUID
    sid: UUID
    collection_id: UUID
    component_id: int
    read_job: UUID


def grant_of(claims: dict[str, object], user_id: UUID) -> Grant:
    """The grant in a verified token. Raises FORBIDDEN if it has none, or if the prefix is not its step's folder."""
    try:
        grant = msgspec.convert(claims.get("grant"), Grant)
    except msgspec.ValidationError as error:
        raise Problem("FORBIDDEN", "The token carries no upload grant") from error
    if grant.prefix != generation_prefix(user_id, grant.job_id, grant.gid, grant.sid):
        raise Problem("FORBIDDEN", "The upload grant's prefix is not the folder of its user, job, generation and step")
    return grant
