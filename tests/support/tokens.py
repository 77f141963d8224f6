"""Token issuers for tests: keys of all kinds, their JWKS, and valid and invalid tokens."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "emprops"


class TokenIssuer:
    """Signs tokens as `iss`; `algorithm` is EdDSA, ES256 or RS256."""

    def __init__(self, iss: str = "https://issuer.test", *, kid: str = "key-1", algorithm: str = "EdDSA") -> None:
        self.iss = iss
        self.kid = kid
        self.algorithm = algorithm
        self._key: Any
        if algorithm == "EdDSA":
            self._key = Ed25519PrivateKey.generate()
            self._public = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        elif algorithm == "ES256":
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        else:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            self._public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)

    @property
    def jwk(self) -> dict[str, Any]:
        public = {name: value for name, value in self._public.items() if name != "key_ops"}
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def jwks(self, *others: "TokenIssuer") -> dict[str, Any]:
        return {"keys": [self.jwk, *(other.jwk for other in others)]}

    def jwks_file(self, folder: Path) -> str:
        """The file:// URL of the key set, written into the folder."""
        path = folder / f"{self.kid}.jwks.json"
        path.write_text(json.dumps(self.jwks()))
        return path.as_uri()

    def token(
        self, user: UUID | str | None = None, *roles: str, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token of this issuer; `claims` are added or replaced, or removed if None. Default role: user."""
        now = int(time.time())
        payload = {
            "iss": self.iss,
            "aud": AUDIENCE,
            "sub": str(user or uuid4()),
            "iat": now,
            "exp": now + 300,
            "roles": list(roles) or ["user"],
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self._key, algorithm=self.algorithm, headers={"kid": self.kid, **(headers or {})})

    def bearer(self, user: UUID | str | None = None, *roles: str, **claims: Any) -> dict[str, str]:
        """The request headers that carry a token."""
        return {"Authorization": f"Bearer {self.token(user, *roles, **claims)}"}
