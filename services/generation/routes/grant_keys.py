"""The public keys of upload grants, for the storage service."""

from typing import Any

from litestar import get
from litestar.di import NamedDependency

from services.generation.workers.upload_grants import GrantSigner


@get("/.well-known/jwks.json", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
def list_grant_keys(signer: NamedDependency[GrantSigner]) -> dict[str, Any]:
    return signer.jwks()
