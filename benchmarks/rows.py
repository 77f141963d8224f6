"""The rows of the table, in the order in which they are measured: what needs an idle machine first."""

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
    """What selects it, and what its figures' ids begin with."""
    ids: tuple[str, ...]
    """Of its figures: these select it too."""
    doing: str
    run: Callable[[Ground], Iterable[Figure]]
    """Figures that came before an error stay."""
    extra: bool = False
    """Measured only when it is named."""


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


class UnknownRow(ValueError):  # noqa: N818 - names what was asked for
    """Its sentence names the rows that there are."""


def chosen(names: Sequence[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """The rows of these names, in either case, in the table's order; without names all but the extra ones.

    A name also selects what its letters are refined to: `P2` selects P2c.
    """
    if not names:
        return [row for row in rows if not row.extra]
    wanted = [name.upper() for name in names]
    for name, asked in zip(names, wanted, strict=True):
        if not any(_is_named(row, asked) for row in rows):
            raise UnknownRow(f"there is no row {name}: {', '.join(_all_ids(rows))}")
    return [row for row in rows if any(_is_named(row, asked) for asked in wanted)]


def _is_named(row: Row, asked: str) -> bool:
    names = {each.upper() for each in (row.name, *row.ids)}
    family = row.name.rstrip("abcdefghijklmnopqrstuvwxyz").upper()
    return asked in names or asked == family


def _all_ids(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield from dict.fromkeys(row.ids)
