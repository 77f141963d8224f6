"""The published language as it is today: every event, every message of work, and the metadata beside stored events."""

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
    """One thing that is stored or sent. `name` is the versioned tag of an event, else the name of its class."""

    owner: str
    name: str
    type: type[msgspec.Struct]

    @property
    def aggregate(self) -> str | None:
        """The word in the subjects of an event; None of what is no event."""
        return self.type.aggregate if issubclass(self.type, Event) else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@cache
def event_modules() -> dict[str, ModuleType]:
    """Each owner's module of events, by the owner's name: those of shared/contracts that say what their EVENTS are."""
    names = sorted(module.name for module in pkgutil.iter_modules(shared.contracts.__path__))
    modules = {name: importlib.import_module(f"shared.contracts.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "EVENTS")}


@cache
def definitions() -> dict[str, ServiceDefinition]:
    """Every service that has a history, by its name."""
    found = {}
    for package in sorted(module.name for module in pkgutil.iter_modules(services.__path__) if module.ispkg):
        app = importlib.import_module(f"services.{package}.app")
        definition = getattr(app, "SERVICE", None)
        if isinstance(definition, ServiceDefinition):
            found[definition.name] = definition
    return found


def codec_of(owner: str) -> Codec:
    """What the owner reads its own history with, upcasters included."""
    return definitions()[owner].codec()


def defined_in(module: ModuleType, base: type[Any]) -> Iterator[type[Any]]:
    """The subclasses of `base` that a module itself, or a module of this package, defines."""
    names = [part.name for part in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}.")]
    for each in [module, *map(importlib.import_module, names)]:
        for value in vars(each).values():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == each.__name__:
                yield value


@cache
def contracts() -> tuple[Contract, ...]:
    """All of it. A new module of events, or a new message in shared/contracts/work.py, is in it by itself."""
    events = [
        Contract(owner, event_type(event), event)
        for owner, module in event_modules().items()
        for event in module.EVENTS
    ]
    messages = [Contract(WORK, message.__name__, message) for message in defined_in(work, msgspec.Struct)]
    return (*events, *messages, Contract(METADATA, "Context", Context))


def owners() -> list[str]:
    return sorted({contract.owner for contract in contracts()})
