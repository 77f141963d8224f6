"""Today's published language: every event, every message of work, and the metadata of stored events."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

import services
import shared.contracts
from shared.contracts import work
from shared.contracts.event import Event, event_type
from shared.eventstore import Codec, Context
from shared.runtime import ServiceDefinition

WORK = "work"
METADATA = "metadata"


class Contract(NamedTuple):
    """A type that is stored or sent. `name`: an event's versioned tag, or a message's class name."""

    owner: str
    name: str
    type: type[msgspec.Struct]

    @property
    def aggregate(self) -> str | None:
        """An event's aggregate; None for other contracts."""
        return self.type.aggregate if issubclass(self.type, Event) else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@cache
def event_modules() -> dict[str, ModuleType]:
    """The modules of shared/contracts that have EVENTS, by owner."""
    names = sorted(module.name for module in pkgutil.iter_modules(shared.contracts.__path__))
    modules = {name: importlib.import_module(f"shared.contracts.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "EVENTS")}


@cache
def definitions() -> dict[str, ServiceDefinition]:
    """Every service with an event store, by name."""
    by_name = {}
    for package in sorted(module.name for module in pkgutil.iter_modules(services.__path__) if module.ispkg):
        app = importlib.import_module(f"services.{package}.app")
        definition = getattr(app, "SERVICE", None)
        if isinstance(definition, ServiceDefinition):
            by_name[definition.name] = definition
    return by_name


def codec_of(owner: str) -> Codec:
    """The codec of the owner's event store, with its upcasters."""
    return definitions()[owner].codec()


def defined_in(module: ModuleType, base: type[Any]) -> Iterator[type[Any]]:
    """The subclasses of `base` that a module itself, or a module of this package, defines."""
    names = [info.name for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}.")]
    for part in [module, *map(importlib.import_module, names)]:
        for value in vars(part).values():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == part.__name__:
                yield value


@cache
def contracts() -> tuple[Contract, ...]:
    """All contracts. New modules of events and new messages in shared/contracts/work.py are found automatically."""
    events = [
        Contract(owner, event_type(event), event)
        for owner, module in event_modules().items()
        for event in module.EVENTS
    ]
    messages = [Contract(WORK, message.__name__, message) for message in defined_in(work, msgspec.Struct)]
    return (*events, *messages, Contract(METADATA, "Context", Context))


def owners() -> list[str]:
    return sorted({contract.owner for contract in contracts()})
