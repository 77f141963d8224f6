"""`make bench`: one table of all figures, each beside its peer, and the same as JSON in benchmarks/results/."""

import argparse
import datetime as dt
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog
from rich.console import Console

from benchmarks.ground import Ground, ground
from benchmarks.measure import Failure, Figure, machine
from benchmarks.rows import GROWTH, ROWS, Row, UnknownRow, select_rows
from benchmarks.table import table

RESULTS = Path(__file__).parent / "results"


def measure(rows: Sequence[Row], on: Ground) -> tuple[list[Figure], list[Failure]]:
    """Measures the rows in turn. A row that fails is reported with the figures that it has; the others are measured."""
    figures: list[Figure] = []
    failures: list[Failure] = []
    for row in rows:
        on.say(f"{row.name}  {row.doing} …")
        began = time.monotonic()
        try:
            for figure in row.run(on):
                figures.append(figure)  # noqa: PERF402 - those before an error are kept
        except Exception as error:  # noqa: BLE001 - any error fails only its row
            traceback.print_exc()
            failures.append(Failure(row.name, sentence(error)))
        on.say(f"    {time.monotonic() - began:.0f} s")
    return figures, failures


def sentence(error: BaseException) -> str:
    """The error as a sentence; of a group, its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("row", nargs="*", help="which: P1, P2, P2c … (default: all but LOCKS)")
    parser.add_argument(
        "--growth", action="store_true", help="P1, P2, P4, P5 at 10 thousand, 1 million and 5 million stored events"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: only whether the rows work")
    parser.add_argument("--rows", type=int, help="of LOCKS: rows of the read table")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, width=160 if not sys.stdout.isatty() else None)
    try:
        rows = select_rows(arguments.row, GROWTH if arguments.growth else ROWS)
    except UnknownRow as unknown:
        parser.error(str(unknown))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is stopped then, too
    began = dt.datetime.now(dt.UTC)
    with ground(quick=arguments.quick, rows=arguments.rows, say=lambda text: console.print(text, style="dim")) as on:
        figures, failures = measure(rows, on)
    about = {**machine(), "took": f"{(dt.datetime.now(dt.UTC) - began).total_seconds():.0f} s"}
    if arguments.quick:
        about["sizes"] = "quick: the figures mean nothing"
    result = {
        "at": began.isoformat(timespec="seconds"),
        "machine": about,
        "figures": [
            {**msgspec.to_builtins(figure), "ratio": figure.ratio, "holds": figure.holds} for figure in figures
        ],
        "failures": failures,
    }
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=2)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / ("growth.json" if arguments.growth else "latest.json")
    file.write_bytes(encoded)
    if arguments.json:
        print(encoded.decode())
    else:
        console.print(table(figures, failures, about))
        console.print(f"JSON: {file}", style="dim")
    return 0 if not failures and all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
