"""How the table shows figures, and rows that failed."""

import io

from rich.console import Console

from benchmarks.__main__ import measure, sentence
from benchmarks.ground import Ground, ground
from benchmarks.measure import Failure, Figure
from benchmarks.rows import Row
from benchmarks.table import table, target


def printed(*figures: Figure, failures: tuple[Failure, ...] = ()) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table(figures, failures, {"cpu": "a fast one", "cores": "2"}))
    text = console.file.getvalue()
    return " ".join(text.replace("│", " ").split())


def test_a_figure_stands_beside_its_peer_with_the_ratio_and_the_target():
    text = printed(Figure("P2", "created", 2614, "/s", "Express", 1307, 1.0))
    assert "P2 created 2,614 /s Express 1,307 2.00 ratio ≥ 1 holds" in text
    assert "cpu a fast one, cores 2" in text


def test_each_bound_can_be_missed():
    assert not Figure("P2", "", 0.9, "/s", "peer", 1.0, least=1.0).holds
    assert not Figure("P2a", "", 1.3, "ms", "peer", 1.0, most=1.2).holds
    assert not Figure("P2b", "", 1.1, "ms", limit=1.0).holds
    assert Figure("P2", "", 1.1, "ms", "peer", 1.0, least=1.0, most=1.2, limit=2.0).holds


def test_a_ratio_that_could_not_be_told_does_not_hold():
    assert not Figure("P2", "", 1.0, "/s", "peer", None, least=1.0).holds
    assert not Figure("P2", "", 1.0, "/s", "peer", 0.0, most=1.0).holds


def test_all_bounds_of_a_figure_are_named():
    assert target(Figure("P7", "", 1.0, "ms", "peer", 1.0, most=1.2, limit=50.0)) == "ratio ≤ 1.2, ≤ 50 ms"


def test_a_figure_without_a_target_neither_holds_nor_misses():
    text = printed(Figure("LOCKS", "waited", 3.0, "ms"))
    assert "holds" not in text
    assert "missed" not in text


def test_of_several_errors_at_once_the_first_is_told():
    error = ExceptionGroup("two", [ExceptionGroup("one", [ValueError("no answer")]), TypeError("late")])
    assert sentence(error) == "ValueError: no answer"


def test_a_row_that_fails_keeps_what_it_has_and_takes_no_other_row_with_it(capsys):
    def breaks(_on: Ground):
        yield Figure("P2", "created", 1.0, "/s")
        raise TimeoutError("[nobody] answered")

    def works(_on: Ground):
        return [Figure("P3", "delivered", 1.0, "ms")]

    rows = [Row("P2", ("P2",), "creating", breaks), Row("P3", ("P3",), "delivering", works)]
    with ground(quick=True, rows=None, say=print) as on:
        figures, failures = measure(rows, on)
    assert [figure.id for figure in figures] == ["P2", "P3"]
    assert failures == [Failure("P2", "TimeoutError: [nobody] answered")]
    assert "P2 TimeoutError: [nobody] answered failed" in printed(*figures, failures=tuple(failures))
    assert "TimeoutError" in capsys.readouterr().err
