"""Imports a package's names at their first use, so that a process loads only the modules that it uses.

A worker uses the clients of `shared.messaging` but none of its consumers. Loading all of a package would take a second
of CPU at the start of each process, and tens of MiB.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazily(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Returns the package's `__getattr__` (PEP 562). `modules`: the names that each module defines.

    No name may be that of a module of the package: whether it means the module would depend on earlier imports.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        try:
            module = module_of[name]
        except KeyError:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        return getattr(importlib.import_module(module), name)

    return find
