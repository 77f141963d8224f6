"""Aggregates of collections in the grammar of tests.support.specification, and events that tests begin with."""

import sys
from collections.abc import Iterable
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID

from services.collections.domain.collection import creation
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import CreateCollection
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.publishing import Resolution
from shared.contracts.collections import ChosenSeries, CollectionCreated, PreviewCreated, ProjectCreated
from shared.contracts.event import Event
from tests.support.specification import Aggregate, Specification

ALICE, BOB = UUID(int=1), UUID(int=2)
PROJECT, OTHER_PROJECT = UUID(int=10), UUID(int=11)
COLLECTION = UUID(int=100)
SELLABLE = {"blockchain": "BASE", "editions": 2, "price": Decimal("0.05")}
"""What a collection needs beside its title, its steps and its artworks to be published."""
GIDS = [UUID(int=20), UUID(int=21)]
SERIES = ChosenSeries(UUID(int=19), GIDS)
RESOLUTION = Resolution(SERIES)
"""A request to publish comes to a job with two artworks."""


def given(aggregate: ModuleType, *events: Event) -> Specification:
    """The history of an aggregate, which is a module with NOTHING and `evolve`."""
    return Aggregate(aggregate.NOTHING, aggregate.evolve, _decide).given(*events)


def _decide(command: Any, state: Any) -> Iterable[Event]:
    """By the module of the command, which decides on it."""
    events: Iterable[Event] = sys.modules[type(command).__module__].decide(command, state)
    return events


def two_steps() -> dict:
    return {
        "version": "v2",
        "steps": [
            {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "portrait, {{style}}", "seed": -1}},
            {"id": 2, "nodeName": "frame", "nodePayload": {"image": {"$ref": 1}, "title": "One"}},
        ],
        "variables": [{"name": "style", "type": "pick", "value_type": "strings", "value": {"values": ["noir"]}}],
    }


def project(user=ALICE, project_id=PROJECT, name="Mine", *, default=False) -> ProjectCreated:
    return ProjectCreated(project_id, user, name, default)


def create(data=None, *, ids=(1001, 1002), user=ALICE, **changes) -> CreateCollection:
    return CreateCollection(
        collection_id=COLLECTION,
        project_id=PROJECT,
        user_id=user,
        changes=FieldChanges(**changes),
        data=two_steps() if data is None else data,
        component_ids=ids,
    )


def created(data=None, *, ids=(1001, 1002), **changes) -> tuple[CollectionCreated, PreviewCreated]:
    """The two events of a collection's creation."""
    first, second = creation.decide(create(data, ids=ids, **changes), collection.NOTHING)
    return first, second
