"""Tokens from the development issuer of a set on this machine."""

from pathlib import Path
from typing import Any
from uuid import UUID

from infra.embedded.keys import ensure_private_key, sign_token
from infra.embedded.set_file import SetFile


def issue_token(
    file: SetFile, *, user: UUID | None = None, roles: tuple[str, ...] = ("user",), ttl: int
) -> tuple[str, dict[str, Any]]:
    """A JWT and its claims, for `user` or else the set's development user; `ttl` in seconds."""
    return sign_token(
        ensure_private_key(Path(file.issuer_key_file)),
        user=user or file.development_user,
        roles=roles,
        issuer=file.issuer,
        audience=file.audience,
        ttl=ttl,
    )
