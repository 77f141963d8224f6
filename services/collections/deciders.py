"""The deciders of the service's aggregates: how the store folds, caches and snapshots their states."""

from services.collections.domain import component_asset, project, series
from services.collections.domain.artwork import state as artwork
from services.collections.domain.collection import state as collection
from services.collections.domain.package import state as package
from shared.eventstore import Decider

PROJECT = Decider("project", project.NOTHING, project.evolve, project.Project)
COLLECTION = Decider(
    "collection", collection.NOTHING, collection.evolve, collection.Collection, state_version=6, snapshot_every=100
)
COMPONENT_ASSET = Decider(
    "component_asset", component_asset.NOTHING, component_asset.evolve, component_asset.ComponentAsset
)
SERIES = Decider("series", series.NOTHING, series.evolve, series.Series)
ARTWORK = Decider("artwork", artwork.NOTHING, artwork.evolve, artwork.Artwork)
PACKAGE = Decider("package", package.NOTHING, package.evolve, package.Package)
