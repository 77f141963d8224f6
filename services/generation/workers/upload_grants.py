"""Signing upload grants: short-lived tokens with which a worker writes one step's files and reads its job's files."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import msgspec

from shared.contracts.generation import StepScheduled
from shared.contracts.grants import ISSUER, Grant, step_prefix
from shared.contracts.work import UploadGrant

OUTLIVES_DEADLINE = timedelta(minutes=65)
"""How long a grant is valid after the attempt's deadline: an upload may still be running, and storage's clock may be an
hour ahead. That is harmless, since a grant only allows one step's files to be written."""


class GrantSigner:
    """Signs with the service's own key; storage fetches the public half from `/.well-known/jwks.json`."""

    def __init__(self, key_file: str, storage_url: str, audience: str, *, retired_jwks_file: str = "") -> None:
        private = json.loads(Path(key_file).read_text())
        if (private.get("kty"), private.get("crv")) != ("OKP", "Ed25519") or "d" not in private:
            raise ValueError(f"{key_file} is not an Ed25519 private key as a JWK")
        self._key = jwt.PyJWK({**private, "alg": "EdDSA"})
        self._kid = str(private.get("kid") or "grants")
        self._header = _base64({"alg": "EdDSA", "kid": self._kid, "typ": "JWT"})
        self._public = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": private["x"],
            "kid": self._kid,
            "use": "sig",
            "alg": "EdDSA",
        }
        self._retired = json.loads(Path(retired_jwks_file).read_text())["keys"] if retired_jwks_file else []
        self._url, self._audience = f"{storage_url.rstrip('/')}/uploads", audience

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517): of grants that are signed now, and of earlier ones."""
        return {"keys": [self._public, *self._retired]}

    def grant(self, step: StepScheduled, files: Mapping[int, UUID], *, deadline: datetime) -> UploadGrant:
        """A grant for one attempt. Sign it when the work is sent, and don't store it.

        `files`: those that the step may read beside its job's, and whose they must be.

        It has no `iat` or `nbf`: a storage whose clock is behind would reject it as not valid yet.
        """
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": str(step.user_id),
            "roles": ["worker"],
            "exp": int((deadline + OUTLIVES_DEADLINE).timestamp()),
            "grant": Grant(
                prefix=step_prefix(step.user_id, step.job_id, step.gid, step.sid),
                job_id=step.job_id,
                gid=step.gid,
                sid=step.sid,
                collection_id=step.collection_id,
                component_id=step.component_id,
                read_job=step.job_id,
                read_files={str(file): owner for file, owner in files.items()},
            ),
        }
        return UploadGrant(url=self._url, token=self._signed(claims))

    def _signed(self, claims: dict[str, Any]) -> str:
        """RFC 7515's compact form. PyJWT encodes the header for each token, which takes twice as long as signing."""
        signed = self._header + b"." + _base64(claims)
        signature = self._key.key.sign(signed)
        return (signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _base64(part: dict[str, Any]) -> bytes:
    return urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=")
