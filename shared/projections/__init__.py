"""Read tables: their definition (`Projection`), how they follow the store (`Projector`), how they are rebuilt."""

from shared.projections.failures import Stuck
from shared.projections.projection import Key, Projection
from shared.projections.projector import Lag, Projector
from shared.projections.rebuild import Rebuilt, rebuild

__all__ = ["Key", "Lag", "Projection", "Projector", "Rebuilt", "Stuck", "rebuild"]
