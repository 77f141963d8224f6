"""The set's signing keys, for development tokens and for upload grants: Ed25519, as JSON Web Keys (RFC 8037)."""

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from infra.embedded.errors import SetError
from infra.embedded.set_file import write_private

DEVELOPMENT_ISSUER = "emprops-development"
AUDIENCE = "emprops"
ROLES = ("user", "operator")


def ensure_private_key(path: Path) -> dict[str, str]:
    """The private JWK in a file (0600), which is created if it does not exist."""
    try:
        key: dict[str, str] = json.loads(path.read_bytes())
    except FileNotFoundError:
        key = make_private_key()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(key).encode())
    return key


def ensure_secrets_key(path: Path) -> str:
    """The key of the values of secrets, 32 bytes in base64, in a file (0600) that is created if it does not exist.

    It is in no backup of the databases: without it, the secrets must be set again. Raises SetError if a rotation of it
    was interrupted: then it may not be the key of the values any more.
    """
    if next_secrets_key(path).exists():
        raise SetError("A rotation of the key of secrets was interrupted; finish it: emprops rotate --data DIR secrets")
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, make_secrets_key())
    return path.read_text()


def next_secrets_key(path: Path) -> Path:
    """The file beside a key's with the key that replaces it, while that is going on."""
    return path.with_suffix(".next")


def rotate_private_key(path: Path, *, revoke: bool) -> None:
    """Replaces the key in a file. What the old key signed stays valid, unless `revoke`: see `retired_jwks`."""
    retired = public_jwks() if revoke else public_jwks(ensure_private_key(path))
    write_private(retired_jwks(path), json.dumps(retired).encode())
    write_private(path, json.dumps(make_private_key()).encode())


def retired_jwks(path: Path) -> Path:
    """The file beside a key's with the public half of the key before it. Only one earlier key is kept."""
    return path.with_suffix(".retired.json")


def retired_keys(path: Path) -> list[dict[str, str]]:
    """The public keys of `retired_jwks`; empty if the key was never rotated."""
    try:
        keys: list[dict[str, str]] = json.loads(retired_jwks(path).read_bytes())["keys"]
    except FileNotFoundError:
        return []
    return keys


def make_secrets_key() -> bytes:
    """32 random bytes in base64."""
    return base64.b64encode(os.urandom(32))


def make_private_key() -> dict[str, str]:
    """A fresh private JWK; its `kid` is the thumbprint of its public half (RFC 7638)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - once per set

    private = Ed25519PrivateKey.generate()
    public = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(private.public_key().public_bytes_raw())}
    thumbprint = hashlib.sha256(json.dumps(public, separators=(",", ":"), sort_keys=True).encode()).digest()
    extra = {"kid": _base64url(thumbprint), "alg": "EdDSA", "use": "sig"}
    return {**public, **extra, "d": _base64url(private.private_bytes_raw())}


def public_jwks(*keys: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """The public halves, as served at `/.well-known/jwks.json`."""
    return {"keys": [{name: value for name, value in key.items() if name != "d"} for key in keys]}


def sign_token(
    key: dict[str, str], *, user: UUID, roles: tuple[str, ...], issuer: str, audience: str, ttl: int
) -> tuple[str, dict[str, Any]]:
    """A user's JWT and its claims; `ttl` in seconds."""
    import jwt  # noqa: PLC0415 - starting a set signs no token

    now = int(time.time())
    claims = {
        "sub": str(user),
        "iss": issuer,
        "aud": audience,
        "iat": now,
        "exp": now + ttl,
        "jti": str(uuid4()),
        "roles": list(roles),
    }
    private = jwt.PyJWK(key, algorithm="EdDSA")
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": key["kid"]}), claims


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
