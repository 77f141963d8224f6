"""The composition root of the storage service."""

import asyncio
from pathlib import Path

from services.storage.consumers import consumers
from services.storage.deciders import ASSET, PACKAGE
from services.storage.fetching import Fetcher
from services.storage.gateway.gateway import Gateway
from services.storage.handlers.asset import CommandHandlers
from services.storage.handlers.package import PackageHandlers
from services.storage.health import Backlog, FileStoreCheck
from services.storage.packaging.artworks import Artworks
from services.storage.packaging.builder import LEASE, PackageBuilder
from services.storage.packaging.package_file import PIECE_SECONDS, PackageFiles
from services.storage.processes.list_packages import PackageLister
from services.storage.projections.assets import ASSETS
from services.storage.projections.generation_files import GENERATION_FILES
from services.storage.projections.renditions import RENDITIONS
from services.storage.providers.file_store import FileStore
from services.storage.providers.s3.store import S3Store
from services.storage.queries.asset import Queries
from services.storage.queries.public_token import PublicTokenQueries
from services.storage.routes import ROUTES
from services.storage.routes.tokens import provide_token_files
from services.storage.scaling.image_scaler import ImageScaler
from services.storage.scaling.scaler import Scaler
from services.storage.settings import StorageSettings
from services.storage.tables.package_blocks import PackageBlocks
from services.storage.tables.package_builds import PackageBuilds
from services.storage.tables.published_collections import PublishedCollections
from services.storage.tables.unscaled_tokens import UnscaledTokens
from services.storage.views import Links
from shared.backoff import Backoff
from shared.contracts import grants
from shared.contracts.problem import Problem
from shared.contracts.storage import EVENTS, UPCASTERS
from shared.http import Issuer
from shared.public_addresses import PublicAddresses
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="storage",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(ASSET, PACKAGE),
    projections=(ASSETS, GENERATION_FILES, RENDITIONS),
    migrations=Path(__file__).parent / "migrations",
)


async def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, StorageSettings), "storage runs with its own settings"
    objects = S3Store(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key, settings.s3_bucket)
    links = Links(settings.public_url, settings.cdn_url)
    handlers = CommandHandlers(
        runtime.store,
        objects,
        links.link,
        max_bytes=settings.upload_max_bytes,
        at_once=settings.uploads_at_once,
        idle_seconds=settings.upload_idle_seconds,
    )
    package_blocks, builds = PackageBlocks(runtime.store), PackageBuilds(runtime.store)
    package_handlers = PackageHandlers(runtime.store, builds, settings.package_max_bytes)
    builder = _builder(runtime, settings, objects, links, package_handlers, package_blocks, builds)
    fetcher = Fetcher(
        PublicAddresses(settings.fetch_private_hosts.split(",")),
        max_bytes=settings.fetch_max_bytes,
        seconds=settings.fetch_seconds,
        at_once=settings.uploads_at_once,
    )
    queries = Queries(runtime.store, runtime.projector)
    unscaled = UnscaledTokens(runtime.store)
    scaler = Scaler(runtime.store, ImageScaler(runtime.store, handlers, objects), unscaled)

    async def keep_bucket() -> None:
        """Creates the bucket as soon as the store is reachable; until then the service is not ready."""
        try:
            await Backoff("file store", on=(Problem,), longest=0.5).call(objects.ensure_bucket)
            await asyncio.Event().wait()
        finally:
            objects.close()

    runtime.checks["file store"] = FileStoreCheck(objects, settings.service_instance)
    runtime.readiness.followers["backlog"] = Backlog(builds, LEASE, unscaled, runtime.registry)
    return Parts(
        route_handlers=ROUTES,
        dependencies={
            "handlers": handlers,
            "queries": queries,
            "public_token_queries": PublicTokenQueries(queries),
            "gateway": Gateway(objects, package_blocks),
            "objects": objects,
            "links": links,
            "fetcher": fetcher,
        },
        providers={"token_files": provide_token_files},
        consumers=consumers(handlers, package_handlers, queries, PublishedCollections(runtime.store)),
        processes=[PackageLister(queries, objects, package_blocks).process()],
        background=[keep_bucket, builder.run, scaler.run],
        issuers=[Issuer(settings.grants_issuer, settings.grants_jwks_url, grants.ROLES)],
    )


def _builder(
    runtime: Runtime,
    settings: StorageSettings,
    objects: FileStore,
    links: Links,
    handlers: PackageHandlers,
    blocks: PackageBlocks,
    builds: PackageBuilds,
) -> PackageBuilder:
    """Packages have bounds of their own: they are larger than uploads, and their bytes come from the file store."""
    files = CommandHandlers(
        runtime.store,
        objects,
        links.link,
        max_bytes=settings.package_max_bytes,
        at_once=settings.packages_at_once,
        idle_seconds=PIECE_SECONDS,
    )
    package_files = PackageFiles(Artworks(runtime.store, objects), files, blocks)
    return PackageBuilder(runtime.store, handlers, builds, package_files, objects, settings.packages_at_once)
