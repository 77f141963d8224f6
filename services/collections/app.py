"""The composition root of the collections service."""

from pathlib import Path

from services.collections.component_ids import ComponentIds
from services.collections.consumers import consumers
from services.collections.deciders import ARTWORK, COLLECTION, COMPONENT_ASSET, PACKAGE, PROJECT, SERIES
from services.collections.handlers.artwork import ArtworkHandlers
from services.collections.handlers.collection import CommandHandlers
from services.collections.handlers.package import PackageHandlers
from services.collections.handlers.pin import PinHandlers
from services.collections.handlers.project import ProjectHandlers
from services.collections.pages.rendering import PAGES
from services.collections.projections.artworks import ARTWORKS
from services.collections.projections.collections import COLLECTIONS
from services.collections.projections.component_assets import COMPONENT_ASSETS
from services.collections.projections.instructions import INSTRUCTIONS
from services.collections.projections.projects import PROJECTS
from services.collections.projections.revisions import REVISIONS
from services.collections.projections.series import SERIES as SERIES_TABLE
from services.collections.queries.collection import Queries
from services.collections.queries.component_asset import ComponentAssetQueries
from services.collections.queries.lists import ListQueries
from services.collections.queries.metadata import MetadataQueries
from services.collections.queries.package import PackageQueries
from services.collections.queries.page import PageQueries
from services.collections.queries.publication import PublicationQueries
from services.collections.queries.revision import RevisionQueries
from services.collections.queries.series import SeriesQueries
from services.collections.queries.token import TokenQueries
from services.collections.queries.token_list import TokenListQueries
from services.collections.routes import ROUTES
from services.collections.routes.answers import provide_change
from services.collections.scheduler import Scheduler
from services.collections.settings import CollectionsSettings
from services.collections.tables.package_progress import PackageProgress
from services.collections.tables.scaled_images import ScaledImages
from services.collections.tables.workflows import KnownWorkflows
from shared.contracts.collections import EVENTS, UPCASTERS
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="collections",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(PROJECT, COLLECTION, COMPONENT_ASSET, SERIES, ARTWORK, PACKAGE),
    projections=(PROJECTS, COLLECTIONS, INSTRUCTIONS, COMPONENT_ASSETS, SERIES_TABLE, ARTWORKS, REVISIONS),
    migrations=Path(__file__).parent / "migrations",
)


async def build(runtime: Runtime) -> Parts:
    PAGES.prepare()
    store, settings = runtime.store, runtime.settings
    assert isinstance(settings, CollectionsSettings), "collections runs with its own settings"
    public_url = settings.public_url
    handlers = CommandHandlers(store, ComponentIds(store), runtime.clock)
    queries = Queries(store)
    asset_queries = ComponentAssetQueries(store, queries)
    scaled_images = ScaledImages(store)
    token_queries = TokenQueries(store, scaled_images)
    metadata_queries = MetadataQueries(store, token_queries, public_url)
    series_queries = SeriesQueries(store, token_queries, runtime.history)
    workflows = KnownWorkflows(store)
    package_handlers = PackageHandlers(
        store, metadata_queries, token_queries, asset_queries, public_url, settings.package_max_bytes
    )
    package_progress = PackageProgress(store)
    package_queries = PackageQueries(store, token_queries, package_progress, public_url)
    return Parts(
        route_handlers=ROUTES,
        consumers=consumers(ArtworkHandlers(store), package_handlers, package_progress, workflows, scaled_images),
        background=[Scheduler(store, runtime.clock).run],
        dependencies={
            "handlers": handlers,
            "project_handlers": ProjectHandlers(store),
            "package_handlers": package_handlers,
            "pin_handlers": PinHandlers(store, token_queries, runtime.clock),
            "queries": queries,
            "list_queries": ListQueries(store),
            "asset_queries": asset_queries,
            "package_queries": package_queries,
            "page_queries": PageQueries(metadata_queries, token_queries, package_queries, public_url),
            "metadata_queries": metadata_queries,
            "revision_queries": RevisionQueries(store, metadata_queries),
            "token_list_queries": TokenListQueries(metadata_queries, token_queries),
            "publication_queries": PublicationQueries(
                store, series_queries, token_queries, metadata_queries, workflows, public_url
            ),
            "runtime": runtime,
        },
        providers={"change": provide_change},
    )
