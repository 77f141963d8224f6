"""`make bench`: one table of all figures, each beside its peer, and the same as JSON in benchmarks/results/."""

import argparse
import datetime as dt
import sys
from pathlib import Path

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks import p1_append, p3_delivery, p4_rebuild, rebuild_locks, servers
from benchmarks.measure import Figure, machine

RESULTS = Path(__file__).parent / "results"


def measure(wanted: set[str], rows: int, console: Console) -> list[Figure]:
    figures: list[Figure] = []
    with servers.folder() as directory, servers.postgres(directory) as postgres, servers.nats(directory) as nats:
        if wanted & {"P1", "P1b"}:
            console.print("P1  appending …", style="dim")
            figures += p1_append.run(servers.database(postgres, "p1"))
        if "P3" in wanted:
            console.print("P3  delivering …", style="dim")
            figures += p3_delivery.run(servers.database(postgres, "p3a"), servers.database(postgres, "p3b"), nats)
        if "P4" in wanted:
            console.print("P4  rebuilding …", style="dim")
            figures += p4_rebuild.run(servers.database(postgres, "p4"))
        if "LOCKS" in wanted:
            console.print("LOCKS  rebuilding beside readers …", style="dim")
            figures += rebuild_locks.run(servers.database(postgres, "locks"), rows)
    return figures


def show(figures: list[Figure], about: dict[str, str], console: Console) -> None:
    table = Table(title="emprops, measured beside its peers in one run", caption=", ".join(about.values()))
    for heading in ("id", "what", "figure", "peer", "peer's figure", "ratio", "target", ""):
        table.add_column(heading, justify="right" if "figure" in heading or heading == "ratio" else "left")
    for figure in figures:
        target = [f"≥ {figure.least:g}"] if figure.least is not None else []
        target += [f"≤ {figure.limit:g} {figure.unit}"] if figure.limit is not None else []
        table.add_row(
            figure.id,
            figure.what + (f"\n[dim]{figure.note}[/dim]" if figure.note else ""),
            f"{figure.value:,.2f} {figure.unit}" if figure.value < 100 else f"{figure.value:,.0f} {figure.unit}",
            figure.peer,
            "" if figure.peer_value is None else f"{figure.peer_value:,.4g}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            " ".join(target),
            "[green]holds[/green]" if figure.holds else "[red]missed[/red]",
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("id", nargs="*", default=["P1", "P3", "P4"], help="which: P1 P3 P4 (default: all three), LOCKS")
    parser.add_argument("--rows", type=int, default=rebuild_locks.ROWS, help="of LOCKS: rows of the read table")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, width=160 if not sys.stdout.isatty() else None)
    about = machine()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    figures = measure(set(arguments.id), arguments.rows, console)
    result = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": about,
        "figures": [{**msgspec.to_builtins(each), "ratio": each.ratio, "holds": each.holds} for each in figures],
    }
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_bytes(encoded)
    if arguments.json:
        print(encoded.decode())
    else:
        show(figures, about, console)
        console.print(f"JSON: {RESULTS / 'latest.json'}", style="dim")
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
