"""The set's own keys and tokens."""

import json
from pathlib import Path
from uuid import uuid4

import jwt
import pytest

from infra.embedded.errors import SetError
from infra.embedded.keys import (
    ensure_private_key,
    ensure_secrets_key,
    make_private_key,
    next_secrets_key,
    public_jwks,
    retired_keys,
    rotate_private_key,
    sign_token,
)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The second call finds the first one's."""
    path = tmp_path / "keys" / "issuer.jwk"
    key = ensure_private_key(path)
    assert ensure_private_key(path) == key
    assert path.stat().st_mode & 0o077 == 0


def test_a_set_does_not_start_in_the_middle_of_a_rotation_of_the_key_of_secrets(tmp_path: Path) -> None:
    """The values may have the old key or the next one. The error names the command that finishes it."""
    path = tmp_path / "keys" / "secrets.key"
    key = ensure_secrets_key(path)
    assert ensure_secrets_key(path) == key
    next_secrets_key(path).write_text("unfinished")
    with pytest.raises(SetError, match="emprops rotate --data DIR secrets"):
        ensure_secrets_key(path)
    next_secrets_key(path).unlink()
    assert ensure_secrets_key(path) == key


def test_a_token_is_verified_with_the_published_half() -> None:
    """EdDSA, found by `kid`; no private part is published."""
    key, other = make_private_key(), make_private_key()
    user = uuid4()
    token, claims = sign_token(key, user=user, roles=("user", "operator"), issuer="us", audience="emprops", ttl=60)
    published = jwt.PyJWKSet.from_dict(public_jwks(other, key))
    public_key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, public_key, algorithms=["EdDSA"], audience="emprops", issuer="us") == claims
    assert (claims["sub"], claims["roles"], claims["exp"] - claims["iat"]) == (str(user), ["user", "operator"], 60)
    assert '"d"' not in json.dumps(public_jwks(key))
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, published[other["kid"]], algorithms=["EdDSA"], audience="emprops")


def test_a_rotated_key_keeps_the_public_half_of_the_one_before_it_until_the_next_rotation(tmp_path: Path) -> None:
    path = tmp_path / "issuer.jwk"
    first = ensure_private_key(path)
    assert retired_keys(path) == []
    rotate_private_key(path, revoke=False)
    second = ensure_private_key(path)
    assert second != first
    assert retired_keys(path) == public_jwks(first)["keys"]
    rotate_private_key(path, revoke=False)
    assert [key["kid"] for key in retired_keys(path)] == [second["kid"]]
    rotate_private_key(path, revoke=True)
    assert retired_keys(path) == []
