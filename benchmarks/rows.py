"""The rows of the table, in the order in which they are measured: those that need an idle machine come first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import (
    account,
    growth,
    job_memory,
    job_page,
    p1_append,
    p2_create,
    p2_read,
    p3_delivery,
    p4_rebuild,
    p5_jobs,
    p5_shares,
    p6_files,
    p7_followers,
    p8_idle,
    p9_start,
    rebuild_locks,
)
from benchmarks.ground import Ground
from benchmarks.measure import Figure


@dataclass(frozen=True)
class Row:
    name: str
    """Selects it, and begins the ids of its figures."""
    ids: tuple[str, ...]
    """The ids of its figures, which select it too."""
    doing: str
    run: Callable[[Ground], Iterable[Figure]]
    """Yields figures; those before an error are kept."""
    extra: bool = False
    """Measured only if it is selected by name."""


ROWS: Sequence[Row] = (
    Row("P1", ("P1", "P1b"), "appending", p1_append.run),
    Row("P3", ("P3",), "delivering", p3_delivery.run),
    Row("P4", ("P4",), "rebuilding", p4_rebuild.run),
    Row("ACCOUNT", ("ACCOUNT",), "changing an account with a long history", account.run),
    Row("P9", ("P9",), "starting a set", p9_start.run),
    Row("P8", ("P8",), "leaving a set alone", p8_idle.run),
    Row("P2", ("P2", "P2a", "P2b", "P2-CPU", "P2-COMMITS"), "creating collections", p2_create.run),
    Row("P2c", ("P2c",), "reading a collection", p2_read.run),
    Row("P5", ("P5", "P5a", "P5b"), "running jobs", p5_jobs.run),
    Row("P5c", ("P5c",), "running small jobs beside a large one", p5_shares.run),
    Row("JOBPAGE", ("JOBPAGE",), "reading a large job", job_page.run),
    Row("MEMORY", ("MEMORY",), "running a large job on a set of its own", job_memory.run),
    Row("P7", ("P7",), "following a job", p7_followers.run),
    Row("P6", ("P6",), "storing and reading a large file", p6_files.run),
    Row("LOCKS", ("LOCKS",), "rebuilding beside readers", rebuild_locks.run, extra=True),
)

GROWTH: Sequence[Row] = (
    Row("P1", ("P1",), "appending", growth.appending),
    Row("P4", ("P4",), "rebuilding", growth.rebuilding),
    Row("P2", ("P2", "P5"), "creating collections and running jobs", growth.serving),
)
"""Those of `--growth`."""


class UnknownRow(ValueError):  # noqa: N818 - names the selection
    """No row has this name; the message lists all rows."""


def select_rows(names: Sequence[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """The rows with these names, in upper or lower case, in the table's order; without names, all but the extra ones.

    A name without its last letters selects a family: `P2` selects P2c, too.
    """
    if not names:
        return [row for row in rows if not row.extra]
    upper_names = [name.upper() for name in names]
    for name, upper_name in zip(names, upper_names, strict=True):
        if not any(_is_named(row, upper_name) for row in rows):
            raise UnknownRow(f"there is no row {name}: {', '.join(_all_ids(rows))}")
    return [row for row in rows if any(_is_named(row, upper_name) for upper_name in upper_names)]


def _is_named(row: Row, upper_name: str) -> bool:
    names = {name.upper() for name in (row.name, *row.ids)}
    family = row.name.rstrip("abcdefghijklmnopqrstuvwxyz").upper()
    return upper_name in names or upper_name == family


def _all_ids(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield from dict.fromkeys(row.ids)
