"""Each service handles the events of others that it declares, from which permissions and documents are made."""

from typing import Any

import pytest

import services.collections.consumers
import services.credits.consumers
import services.generation.consumers
import services.storage.consumers
from shared.contracts.consumers import CONSUMERS, ConsumerDeclaration
from shared.contracts.language import language_of
from shared.messaging import Consumer

UNUSED: Any = None
"""What handlers need: they use it when an event arrives."""
MADE = {
    "collections": services.collections.consumers.consumers(UNUSED, UNUSED, UNUSED, UNUSED, UNUSED),
    "credits": services.credits.consumers.consumers(UNUSED, UNUSED),
    "generation": services.generation.consumers.consumers(UNUSED, UNUSED, UNUSED),
    "storage": services.storage.consumers.consumers(UNUSED, UNUSED, UNUSED, UNUSED),
}
ALL = [declaration for declarations in CONSUMERS.values() for declaration in declarations]


def declared(consumer: Consumer) -> ConsumerDeclaration:
    return ConsumerDeclaration(consumer.name, consumer.owner, consumer.events)


def test_every_service_with_consumers_is_here() -> None:
    assert MADE.keys() == CONSUMERS.keys()


@pytest.mark.parametrize("service", CONSUMERS)
def test_a_service_has_a_handler_for_each_consumer_that_it_declares(service: str) -> None:
    assert tuple(declared(consumer) for consumer in MADE[service]) == CONSUMERS[service]


@pytest.mark.parametrize("declaration", ALL, ids=lambda declaration: declaration.name)
def test_a_consumer_handles_events_that_its_owner_publishes(declaration: ConsumerDeclaration) -> None:
    assert set(declaration.events) <= set(language_of(declaration.owner).events)


def test_names_are_unique_and_begin_with_the_service() -> None:
    """A checkpoint is stored under the name, and operators read the service from it."""
    names = [declaration.name for declaration in ALL]
    assert len(names) == len(set(names))
    for service, declarations in CONSUMERS.items():
        assert all(declaration.name.startswith(f"{service}-") for declaration in declarations)
