"""Read tables: what they are (`Projection`), how they follow the store (`Projector`), how they are built anew."""

from shared.projections.failures import Stuck
from shared.projections.projection import Key, Projection
from shared.projections.projector import Lag, Projector
from shared.projections.rebuild import Rebuilt, rebuild

__all__ = ["Key", "Lag", "Projection", "Projector", "Rebuilt", "Stuck", "rebuild"]
