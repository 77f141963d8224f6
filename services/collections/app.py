"""The composition root of the collections service."""

from pathlib import Path

from services.collections.component_ids import ComponentIds
from services.collections.consumers import consumers
from services.collections.deciders import ARTWORK, COLLECTION, COMPONENT_ASSET, PACKAGE, PROJECT, SERIES
from services.collections.handlers import Handlers
from services.collections.metadata import Metadata
from services.collections.packages import Packages, package_consumers
from services.collections.projections.artworks import ARTWORKS
from services.collections.projections.collections import COLLECTIONS
from services.collections.projections.component_assets import COMPONENT_ASSETS
from services.collections.projections.instructions import INSTRUCTIONS
from services.collections.projections.projects import PROJECTS
from services.collections.projections.series import SERIES as SERIES_TABLE
from services.collections.queries import Queries
from services.collections.routes import ROUTES
from services.collections.routes.answers import provide_change
from services.collections.scheduler import Scheduler
from services.collections.token_list import TokenList
from shared.contracts.collections import EVENTS, UPCASTERS
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="collections",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(PROJECT, COLLECTION, COMPONENT_ASSET, SERIES, ARTWORK, PACKAGE),
    projections=(PROJECTS, COLLECTIONS, INSTRUCTIONS, COMPONENT_ASSETS, SERIES_TABLE, ARTWORKS),
    migrations=Path(__file__).parent / "migrations",
)


async def build(runtime: Runtime) -> Parts:
    handlers = Handlers(runtime.store, ComponentIds(runtime.store), runtime.clock)
    queries = Queries(runtime.store)
    tokens = TokenList(runtime.store)
    metadata = Metadata(queries, tokens, runtime.settings.public_url)
    packages = Packages(runtime.store, metadata, tokens, runtime.settings.public_url)
    return Parts(
        route_handlers=ROUTES,
        consumers=[*consumers(handlers), *package_consumers(packages)],
        background=[Scheduler(runtime.store, handlers).run],
        dependencies={
            "commands": handlers,
            "questions": queries,
            "metadata": metadata,
            "packaging": packages,
            "frame": runtime,
        },
        providers={"change": provide_change},
    )
