"""The storage service as users, workers and the generation service meet it."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp

from services.storage.app import SERVICE, build
from services.storage.settings import StorageSettings
from shared.runtime import Running, running
from tests.support.patience import asked_again, eventually
from tests.support.servers import Bucket
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

ALICE, BOB = UUID(int=1), UUID(int=2)
JOB, GID, SID, COLLECTION = UUID(int=10), UUID(int=11), UUID(int=12), UUID(int=13)
PUBLIC_URL = "http://edge.test"


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any

    @property
    def data(self) -> Any:
        assert self.status < 300, self.body
        assert self.body["error"] is None
        return self.body["data"]

    @property
    def refusal(self) -> tuple[int, str, list[str]]:
        return self.status, self.body["code"], [detail["pointer"] for detail in self.body["details"]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Api:
    """Requests of users with their tokens, and of workers with the grants of their steps."""

    def __init__(self, url: str, users: TokenIssuer, grants: TokenIssuer, service: Running, bucket: Bucket) -> None:
        self.is_patient = True  # whether it asks again while it is told that something is not shown yet
        self.url, self.users, self.grants = url, users, grants
        self.runtime, self.consumers, self.bucket = service.runtime, service.parts.consumers, bucket
        self.session = aiohttp.ClientSession(auto_decompress=False)

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

    async def send(self, method: str, path: str, headers: dict[str, str], **request: Any) -> Answer:
        ask = partial(self._send, method, path, headers, request)
        return await (asked_again(ask) if self.is_patient else ask())

    async def _send(self, method: str, path: str, headers: dict[str, str], request: dict[str, Any]) -> Answer:
        async with self.session.request(method, self.url + path, headers=headers, **request) as response:
            raw = await response.read()
            is_json = response.content_type.endswith("json") and raw
            return Answer(response.status, await response.json(content_type=None) if is_json else raw, response.headers)

    async def upload(
        self, content: Any, name: str | None = "a.png", grant: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        """A worker's upload; header names are written with underscores."""
        said = {"content-type": "image/png", **({} if name is None else {"x-filename": name})}
        if isinstance(content, bytes):
            said["x-content-sha256"] = sha256(content)
        said |= {header.replace("_", "-"): value for header, value in headers.items()}
        return await self.send("POST", "/uploads", {**said, **(grant or self.grant())}, data=content)

    async def get(self, path: str, user: UUID = ALICE, **headers: str) -> Answer:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("GET", path, {**self.users.bearer(user), **said})

    async def until(self, condition: Callable[[Any], bool], asset_id: int, user: UUID = ALICE) -> Any:
        """Waits until an asset is as wanted."""

        async def look() -> Any:
            asset = (await self.get(f"/assets/{asset_id}", user)).data
            return asset if condition(asset) else None

        return await eventually(look, f"asset {asset_id} to be as wanted")

    def objects(self) -> dict[str, int]:
        """What lies in the bucket: the size at each path."""
        found = self.bucket.client().list_objects(self.bucket.name, recursive=True)
        return {str(item.object_name): int(item.size or 0) for item in found}


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
    async with running(SERVICE, chosen, build) as service, serving(service.app) as url:
        api = Api(url, users, grants, service, bucket)
        try:
            yield api
        finally:
            await api.session.close()


def s3_settings(bucket: Bucket) -> dict[str, str]:
    s3 = bucket.s3
    return {"s3_endpoint": s3.endpoint, "s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key}
