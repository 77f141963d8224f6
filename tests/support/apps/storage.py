"""The storage service as users, workers and the generation service meet it."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from services.storage.app import SERVICE, build
from services.storage.settings import StorageSettings
from shared.runtime import Running, running
from tests.support.apps.client import ALICE, Answer, Client
from tests.support.patience import eventually
from tests.support.servers import Bucket
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

JOB, GID, SID, COLLECTION = UUID(int=10), UUID(int=11), UUID(int=12), UUID(int=13)
PUBLIC_URL = "http://edge.test"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Api(Client):
    """Requests of users with their tokens, and of workers with the grants of their steps."""

    def __init__(
        self,
        url: str,
        users: TokenIssuer,
        grants: TokenIssuer,
        session: aiohttp.ClientSession,
        service: Running,
        bucket: Bucket,
    ) -> None:
        super().__init__(url, users, session)
        self.users, self.grants = users, grants
        self.runtime, self.consumers, self.bucket = service.runtime, service.parts.consumers, bucket
        self._objects = service.parts.dependencies

    def part(self, name: str) -> Any:
        """An object of the service's own, by the name that its route handlers know it under."""
        return self._objects[name]

    def grant(self, user: UUID = ALICE, job: UUID = JOB, sid: UUID = SID, **changes: Any) -> dict[str, str]:
        """The headers of a worker; `changes` go into the grant, those in `claims` around it."""
        claims = changes.pop("claims", {})
        grant = {
            "prefix": f"generations/{user}/{job}/{GID}/{sid}/",
            "job_id": str(job),
            "gid": str(GID),
            "sid": str(sid),
            "collection_id": str(COLLECTION),
            "component_id": 77,
            "read_job": str(job),
            **changes,
        }
        return self.grants.bearer(user, "worker", **{"grant": grant, **claims})

    async def upload(
        self, content: Any, name: str | None = "a.png", grant: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        """A worker's upload; header names are written with underscores."""
        sent = {"content-type": "image/png", **({} if name is None else {"x-filename": name})}
        if isinstance(content, bytes):
            sent["x-content-sha256"] = sha256(content)
        sent |= {header.replace("_", "-"): value for header, value in headers.items()}
        return await self.ask("POST", "/uploads", {**sent, **(grant or self.grant())}, data=content)

    async def get(self, path: str, user: UUID | None = ALICE, **headers: str) -> Answer:
        """Header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("GET", path, user, headers=sent)

    async def until(self, condition: Callable[[Any], bool], asset_id: int, user: UUID = ALICE) -> Any:
        """Waits until an asset is as wanted."""

        async def look() -> Any:
            asset = (await self.get(f"/assets/{asset_id}", user)).data
            return asset if condition(asset) else None

        return await eventually(look, f"asset {asset_id} to be as wanted")

    def objects(self) -> dict[str, int]:
        """The bucket's files: the size at each path."""
        objects = self.bucket.client().list_objects(self.bucket.name, recursive=True)
        return {str(item.object_name): int(item.size or 0) for item in objects}


@contextlib.asynccontextmanager
async def storage_service(
    database: str, nats_url: str, bucket: Bucket, folder: Path, **settings: Any
) -> AsyncIterator[Api]:
    users, grants = TokenIssuer(), TokenIssuer("emprops-generation", kid="grants")
    chosen = StorageSettings(
        database_url=database,
        nats_url=nats_url,
        public_url=PUBLIC_URL,
        auth_jwks_url=users.jwks_file(folder),
        auth_issuer=users.iss,
        auth_audience=AUDIENCE,
        grants_jwks_url=grants.jwks_file(folder),
        **{"s3_bucket": bucket.name, **s3_settings(bucket), **settings},
    )
    async with (
        running(SERVICE, chosen, build) as service,
        serving(service.app) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        yield Api(url, users, grants, session, service, bucket)


def s3_settings(bucket: Bucket) -> dict[str, str]:
    s3 = bucket.s3
    return {"s3_endpoint": s3.endpoint, "s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key}
