"""The figures as one table for people."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from benchmarks.measure import Failure, Figure

HEADINGS = ("id", "what", "figure", "peer", "peer's figure", "ratio", "target", "")


def table(figures: Sequence[Figure], failures: Sequence[Failure], about: Mapping[str, str]) -> Table:
    """The figures by id, then the rows that failed."""
    rich_table = Table(
        title="emprops, measured beside its peers in one run",
        caption=", ".join(f"{name} {value}" for name, value in about.items()),
    )
    for heading in HEADINGS:
        rich_table.add_column(heading, justify="right" if "figure" in heading or heading == "ratio" else "left")
    for figure in sorted(figures, key=lambda figure: figure.id):
        rich_table.add_row(
            figure.id,
            escape(figure.what) + (f"\n[dim]{escape(figure.note)}[/dim]" if figure.note else ""),
            f"{_number(figure.value)} {figure.unit}",
            escape(figure.peer),
            "" if figure.peer_value is None else _number(figure.peer_value),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            target(figure),
            _verdict(figure),
        )
    for failure in failures:
        rich_table.add_row(failure.row, f"[red]{escape(failure.error)}[/red]", "", "", "", "", "", "[red]failed[/red]")
    return rich_table


def target(figure: Figure) -> str:
    bounds = [f"ratio ≥ {figure.least:g}"] if figure.least is not None else []
    bounds += [f"ratio ≤ {figure.most:g}"] if figure.most is not None else []
    bounds += [f"≤ {figure.limit:g} {figure.unit}"] if figure.limit is not None else []
    return ", ".join(bounds)


def _verdict(figure: Figure) -> str:
    if figure.least is figure.most is figure.limit is None:
        return ""
    return "[green]holds[/green]" if figure.holds else "[red]missed[/red]"


def _number(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
