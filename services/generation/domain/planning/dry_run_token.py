"""`dry_run_token`: with it, a job draws exactly what a dry run showed, or is refused.

It holds what the hashes are derived from, and a digest of what was shown. It is not signed: a client may choose the
hashes of a job anyway.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.planning.job_plan import JobPlan
from shared.contracts.problem import Detail, Problem, invalid

POINTER = "/dry_run_token"
DIGEST_BYTES = 16


class DryRun(msgspec.Struct, frozen=True):
    """`seed`: what its hashes are derived from; `digest`: of its plan."""

    seed: UUID
    digest: bytes

    def check(self, digest: bytes) -> None:
        """Raises CONFLICT for the digest of another plan."""
        if digest != self.digest:
            message = "is of a dry run whose collection, workflows or request have changed since: make another dry run"
            raise Problem("CONFLICT", "The job would not be the one that the dry run showed", Detail(POINTER, message))


def read_token(token: str) -> DryRun:
    """Raises VALIDATION_FAILED."""
    try:
        content = base64.urlsafe_b64decode(token.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        content = b""
    if len(content) != 16 + DIGEST_BYTES:
        raise invalid("The request is not valid", Detail(POINTER, "must be the `dry_run_token` of a dry run's answer"))
    return DryRun(UUID(bytes=content[:16]), content[16:])


def write_token(seed: UUID, digest: bytes) -> str:
    return base64.urlsafe_b64encode(seed.bytes + digest).decode()


def plan_digest(data: Mapping[str, Any], versions: Mapping[str, int], plan: JobPlan) -> bytes:
    """Of everything on which the job's steps and its price depend."""
    hashes = [generation.hash for generation in plan.generations]
    digested = [data, versions, plan.chosen, hashes, plan.quoted]
    return hashlib.sha256(msgspec.json.encode(digested, order="sorted")).digest()[:DIGEST_BYTES]
