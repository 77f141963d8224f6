"""How the store folds each aggregate."""

from services.storage.domain import asset, package
from services.storage.domain.asset import Asset
from services.storage.domain.package import Package
from shared.eventstore import Decider

ASSET: Decider[Asset | None] = Decider(name="asset", initial=None, evolve=asset.evolve, state_type=Asset)
PACKAGE: Decider[Package] = Decider(name="package", initial=package.NOTHING, evolve=package.evolve, state_type=Package)
