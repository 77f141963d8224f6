"""Upload grants: permission for a worker to write one step's files and to read one job's files."""

from uuid import UUID

import msgspec

from shared.contracts.grants import Grant, step_prefix
from shared.contracts.problem import Problem


def grant_of(claims: dict[str, object], user_id: UUID) -> Grant:
    """The grant in a verified token. Raises FORBIDDEN if it has none, or if the prefix is not its step's folder."""
    try:
        grant = msgspec.convert(claims.get("grant"), Grant)
    except msgspec.ValidationError as error:
        raise Problem("FORBIDDEN", "The token carries no upload grant") from error
    if grant.prefix != step_prefix(user_id, grant.job_id, grant.gid, grant.sid):
        raise Problem("FORBIDDEN", "The upload grant's prefix is not the folder of its user, job, generation and step")
    return grant


def may_read(grant: Grant, user_id: UUID, asset_id: int, owner: UUID, job_id: UUID | None) -> bool:
    """Whether a worker with this grant of a user may read the file of an owner, which a job has made or none."""
    if (owner, job_id) == (user_id, grant.read_job):
        return True
    return grant.read_files.get(str(asset_id)) == owner
