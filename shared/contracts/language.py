"""A service's published language: the newest types of its events, and the upcasters from older versions."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

import shared.contracts
from shared.contracts.event import Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts the JSON object of one version to that of the next (`thing_done.v1` to `thing_done.v2`).

Registered under the tag that it takes. It need not set `type`, and may modify its argument.
"""


class Language(msgspec.Struct, frozen=True):
    """How an owner's stored and published events are read: every reader gets the newest version of a type."""

    events: tuple[type[Event], ...]
    upcasters: Mapping[str, Upcaster] = {}


def language_of(owner: str) -> Language:
    """EVENTS and UPCASTERS of the module `shared.contracts.<owner>`; an empty language if there is no such module."""
    if owner not in {module.name for module in pkgutil.iter_modules(shared.contracts.__path__)}:
        return Language(())
    module = importlib.import_module(f"shared.contracts.{owner}")
    return Language(module.EVENTS, module.UPCASTERS)
