"""Which rows a name selects."""

import pytest

from benchmarks.rows import ROWS, UnknownRow, select_rows


def names(*row_names: str) -> list[str]:
    return [row.name for row in select_rows(row_names)]


def test_without_names_all_rows_are_measured_but_those_that_take_too_long():
    assert names() == [row.name for row in ROWS if not row.extra]


def test_a_family_is_selected_by_its_number():
    assert names("P2") == ["P2", "P2c"]


def test_a_figure_selects_the_row_that_measures_it():
    assert names("P1b") == ["P1"]
    assert names("p2-cpu") == ["P2"]
    assert names("P2C") == ["P2c"]


def test_rows_are_measured_in_the_tables_order_and_once():
    assert names("P2a", "P1", "P2b") == ["P1", "P2"]


def test_an_unknown_row_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownRow, match="no row P99: P1, P1b, "):
        select_rows(["P1", "P99"])


def test_no_figure_is_measured_by_two_rows():
    ids = [item for row in ROWS for item in row.ids]
    assert len(ids) == len(set(ids))
