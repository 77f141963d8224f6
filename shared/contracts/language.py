"""One owner's published language: the types of events of today, and what makes those out of older ones."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

import shared.contracts
from shared.contracts.event import Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes the object of one version and gives that of the next (`thing_done.v1` to `thing_done.v2`).

It is kept under the tag that it takes. It need not set `type`, and may change the object that it is given.
"""


class Language(msgspec.Struct, frozen=True):
    """What an owner's stored and published events mean: whoever reads one sees the newest version of its type."""

    events: tuple[type[Event], ...]
    upcasters: Mapping[str, Upcaster] = {}


def language_of(owner: str) -> Language:
    """What the module `shared.contracts.<owner>` exports as EVENTS and UPCASTERS; an empty language without one."""
    if owner not in {module.name for module in pkgutil.iter_modules(shared.contracts.__path__)}:
        return Language(())
    module = importlib.import_module(f"shared.contracts.{owner}")
    return Language(module.EVENTS, module.UPCASTERS)
