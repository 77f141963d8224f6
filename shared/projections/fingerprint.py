"""A fingerprint of the code that makes a read table: other code must not continue an unfinished rebuild."""

import inspect
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.projections.projection import Projection


def fingerprint(projection: Projection[Any]) -> str:
    """Of the table's definition, and of the files that its functions and rows are written in."""
    parts = [projection.table, projection.ddl, *projection.columns, *sorted(projection.types)]
    digest = sha256("\0".join(parts).encode())
    for source in sorted({_file(each) for each in (projection.keys, projection.project, projection.row)}):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:32]


def _file(made: Callable[..., Any]) -> str:
    return inspect.getfile(made)
