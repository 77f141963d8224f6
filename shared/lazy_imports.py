"""Packages whose names are imported at their first use, so that a process loads only the modules that it uses.

A worker needs the clients of `shared.messaging` and nothing of its consumers. Loading all of it would cost each process
that does so a second of CPU at its start, and tens of MiB.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazily(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The package's `__getattr__` (PEP 562); `modules`: from which module each name comes.

    A name must not be that of a module of the package: which of the two is found would depend on what was imported.
    """
    places = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        try:
            place = places[name]
        except KeyError:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        return getattr(importlib.import_module(place), name)

    return find
