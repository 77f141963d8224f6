"""The composition root of the storage service."""

import asyncio
from pathlib import Path

from services.storage.consumers import consumers
from services.storage.content import read_content
from services.storage.handlers import ASSET, Files
from services.storage.health import FileStoreCheck
from services.storage.packages import MAX_BUILDS, PACKAGE, PIECE_SECONDS, Packages, package_consumers
from services.storage.projections.assets import ASSETS
from services.storage.providers.s3 import S3Store
from services.storage.routes import list_assets, read_asset, store_asset, upload
from services.storage.settings import StorageSettings
from services.storage.views import Links
from shared.backoff import Backoff
from shared.contracts.problem import Problem
from shared.contracts.storage import EVENTS, UPCASTERS
from shared.http import Issuer
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="storage",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(ASSET, PACKAGE),
    projections=(ASSETS,),
    migrations=Path(__file__).parent / "migrations",
)


async def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, StorageSettings), "storage runs with its own settings"
    objects = S3Store(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key, settings.s3_bucket)
    links = Links(settings.public_url, settings.cdn_url)
    files = Files(
        runtime.store,
        objects,
        links.link,
        max_bytes=settings.upload_max_bytes,
        at_once=settings.uploads_at_once,
        idle_seconds=settings.upload_idle_seconds,
    )

    package_files = Files(
        runtime.store,
        objects,
        links.link,
        max_bytes=settings.package_max_bytes,
        at_once=MAX_BUILDS,
        idle_seconds=PIECE_SECONDS,
    )
    packages = Packages(runtime.store, objects, package_files)

    async def keep_bucket() -> None:
        """Creates the bucket as soon as the store is reachable; until then the service is not ready."""
        try:
            await Backoff("file store", on=(Problem,), longest=0.5).call(objects.ensure_bucket)
            await asyncio.Event().wait()
        finally:
            objects.close()

    runtime.checks["file store"] = FileStoreCheck(objects, settings.service_instance)
    return Parts(
        route_handlers=[upload, store_asset, list_assets, read_asset, read_content],
        dependencies={
            "files": files,
            "objects": objects,
            "store": runtime.store,
            "projector": runtime.projector,
            "links": links,
        },
        consumers=[*consumers(files, runtime.store), *package_consumers(packages)],
        background=[keep_bucket],
        issuers=[Issuer(settings.grants_issuer, settings.grants_jwks_url, frozenset({"worker"}))],
    )
