"""The fingerprint of a projection's code: a rebuild that other code began must not be continued."""

import inspect
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.projections.projection import Projection


def fingerprint(projection: Projection[Any]) -> str:
    """A hash of the table's definition, and of the source files of its functions and row type."""
    parts = [projection.table, projection.ddl, *projection.columns, *sorted(projection.types)]
    digest = sha256("\0".join(parts).encode())
    code: list[Callable[..., Any]] = [projection.keys, projection.project, projection.row]
    if projection.adds is not None:
        code.append(projection.adds)
    for source in sorted({_file(item) for item in code}):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:32]


def _file(item: Callable[..., Any]) -> str:
    return inspect.getfile(item)
