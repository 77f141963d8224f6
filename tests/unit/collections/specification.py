"""given(events).when(command).then(events): the grammar of every test of a decider here."""

import sys
from decimal import Decimal
from functools import reduce
from types import ModuleType
from uuid import UUID

from services.collections.domain.collection import creation
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import CreateCollection
from services.collections.domain.collection.fields import FieldChanges
from shared.contracts.collections import CollectionCreated, PreviewCreated, ProjectCreated
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem

ALICE, BOB = UUID(int=1), UUID(int=2)
PROJECT, OTHER_PROJECT = UUID(int=10), UUID(int=11)
COLLECTION = UUID(int=100)
SELLABLE = {"blockchain": "BASE", "editions": 10, "price": Decimal("0.05")}
"""What a collection needs beside its title and its steps to be published."""


class Given:
    """A past, and what then happens."""

    def __init__(self, aggregate: ModuleType, events: tuple[Event, ...]) -> None:
        self.state = reduce(aggregate.evolve, events, aggregate.NOTHING)
        self.outcome: list[Event] | Problem = []

    def when(self, command) -> "Given":
        try:
            # A command stands in one module with what decides on it.
            self.outcome = sys.modules[type(command).__module__].decide(command, self.state)
        except Problem as problem:
            self.outcome = problem
        return self

    def then(self, *events: Event) -> None:
        assert self.outcome == list(events)

    def then_nothing_happens(self) -> None:
        assert self.outcome == []

    def then_refused(self, code: str, *pointers: str) -> list[Detail]:
        assert isinstance(self.outcome, Problem), f"it was not refused: {self.outcome}"
        assert self.outcome.code == code
        assert self.outcome.detail
        assert [detail.pointer for detail in self.outcome.details] == list(pointers)
        return self.outcome.details


def given(aggregate: ModuleType, *events: Event) -> Given:
    return Given(aggregate, events)


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
