"""Variables as CSV, for spreadsheets: what is written is read back exactly, types and unknown fields included.

A variable takes one row; a pick takes one per value, and its name stands in the first. Columns: `name`, `type`,
`value_type`, `lock_value`, `test_value`; `value`, with `display_name` and `weight` for a pick's; `more`, a JSON object
of what has no column (`variable`: other fields of the variable, `value`: of a pick's value). An empty cell is nothing.

A cell is JSON if it reads as a JSON number, string, list, object, true, false or null, and else the text that it is.
So a text that looks like JSON is written as a JSON string, and so is one that a spreadsheet would run as a formula.
"""

import csv
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.contracts.json_forms import lossy
from shared.contracts.problem import Detail, invalid

COLUMNS = ("name", "type", "value_type", "lock_value", "test_value", "value", "display_name", "weight", "more")
MAX_FAULTS = 100
_OF_VARIABLE = ("name", "type", "value_type", "lock_value", "test_value")
_OF_VALUE = {"value": "values", "display_name": "display_names", "weight": "weights"}
_WORDS = {"true": True, "false": False, "null": None}
_FORMULA = "=+-@"
csv.field_size_limit(2**31 - 1)
"""For the whole process. The csv module's own limit, 131,072 characters in a cell, is less than a variable may have.
How large a table may be is decided where it is accepted."""

Variable = dict[str, Any]
Cells = dict[str, Any]


class _Lines:
    """A target for csv.writer: the domain does no I/O."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def table_of(variables: list[Variable]) -> str:
    """The table of a collection's variables, as RFC 4180 has it, with a header."""
    lines: list[str] = []
    writer = csv.writer(_Lines(lines))
    writer.writerow(COLUMNS)
    for variable in variables:
        for cells in _rows(variable):
            writer.writerow([_cell(cells[column]) if column in cells else "" for column in COLUMNS])
    return "".join(lines)


def variables_of(table: str) -> list[Variable]:
    """The variables of a table; whether they can be drawn is for the collection that takes them to say.

    Raises VALIDATION_FAILED; the pointers are `/<line>/<column>`, lines counted from 1 as spreadsheets do.
    """
    variables: list[Variable] = []
    faults: list[Detail] = []
    picks: dict[int, int] = {}
    try:
        for line, cells in _read(table):
            if "name" in cells:
                variables.append(_variable(cells))
                picks[len(variables) - 1] = line
            elif variables:
                faults.extend(_add_value(variables[-1], cells, line))
            else:
                faults.append(Detail(f"/{line}/name", "the first row names its variable"))
    except csv.Error as error:
        faults.append(Detail("", f"this is not CSV: {error}"))
    for index, line in picks.items():
        faults.extend(_uneven(variables[index], line))
    if faults:
        raise invalid(f"The table can't be read: {faults[0].message}", *faults[:MAX_FAULTS])
    return variables


def _rows(variable: Variable) -> Iterator[Cells]:
    first = {name: variable[name] for name in _OF_VARIABLE if name in variable}
    more: dict[str, Any] = {}
    others = {name: value for name, value in variable.items() if name not in (*_OF_VARIABLE, "value")}
    if others:
        more["variable"] = others
    value = variable.get("value")
    rest: list[Cells] = []
    if isinstance(value, dict) and _is_listed(variable):
        listed = {column: value[name] for column, name in _OF_VALUE.items() if isinstance(value.get(name), list)}
        unlisted = {name: each for name, each in value.items() if name not in [_OF_VALUE[column] for column in listed]}
        if unlisted:
            more["value"] = unlisted
        head, *rest = [dict(zip(listed, each, strict=True)) for each in zip(*listed.values(), strict=True)]
        first |= head
    elif "value" in variable:
        first["value"] = value
    if more:
        first["more"] = more
    yield first
    yield from rest


def _is_listed(variable: Variable) -> bool:
    """Whether a variable is a pick whose values have a row each: lists of one length, of nothing but scalars."""
    value = variable.get("value")
    if variable.get("type") != "pick" or not isinstance(value, dict):
        return False
    lists = [value[name] for name in _OF_VALUE.values() if isinstance(value.get(name), list)]
    values = value.get("values")
    return (
        isinstance(values, list)
        and bool(values)
        and all(len(each) == len(values) for each in lists)
        and not any(isinstance(each, dict | list | None) for each in values)
    )


def _read(table: str) -> Iterator[tuple[int, Cells]]:
    lines = (f"{line}\n" for line in table.removeprefix("\ufeff").removesuffix("\n").split("\n"))
    rows = csv.reader(lines, strict=True)
    header = [column.strip() for column in next(rows, [])]
    if "name" not in header or not set(header) <= set(COLUMNS) or len(set(header)) < len(header):
        message = f"the first line has the columns {', '.join(COLUMNS)}, or some of them with name"
        raise invalid(f"The table can't be read: {message}", Detail("/1", message))
    for line, row in enumerate(rows, 2):
        if len(row) > len(header):
            message = f"line {line} has {len(row)} cells below {len(header)} columns"
            raise invalid(f"The table can't be read: {message}", Detail(f"/{line}", message))
        cells = {column: _value(cell) for column, cell in zip(header, row, strict=False) if cell != ""}
        if cells:
            _check_more(cells.get("more", {}), line)
            yield line, cells


def _check_more(more: Any, line: int) -> None:
    if not isinstance(more, dict) or not all(isinstance(each, dict) for each in more.values()):
        message = "more is a JSON object with the objects variable and value"
        raise invalid(f"The table can't be read: {message}", Detail(f"/{line}/more", message))


def _variable(cells: Cells) -> Variable:
    more = cells.get("more", {})
    variable = {name: cells[name] for name in _OF_VARIABLE if name in cells}
    if cells.get("type") == "pick" and not isinstance(cells.get("value"), dict):
        listed = {name: [cells[column]] for column, name in _OF_VALUE.items() if column in cells}
        variable["value"] = {**listed, **more.get("value", {})}
    elif "value" in cells:
        variable["value"] = cells["value"]
    return {**variable, **more.get("variable", {})}


def _add_value(variable: Variable, cells: Cells, line: int) -> Iterator[Detail]:
    value = variable.get("value")
    if variable.get("type") != "pick" or not isinstance(value, dict):
        yield Detail(f"/{line}/name", "a row without a name must follow a pick variable, to which it adds a value")
        return
    for column, each in cells.items():
        if column in _OF_VALUE:
            listed = value.setdefault(_OF_VALUE[column], [])
            if isinstance(listed, list):
                listed.append(each)
                continue
        yield Detail(f"/{line}/{column}", f"{column} stands in the row that names the variable")


def _uneven(variable: Variable, line: int) -> Iterator[Detail]:
    value = variable.get("value")
    if variable.get("type") != "pick" or not isinstance(value, dict):
        return
    lists = {column: value[name] for column, name in _OF_VALUE.items() if isinstance(value.get(name), list)}
    for column, listed in lists.items():
        if len(listed) != len(lists.get("value", listed)):
            yield Detail(f"/{line}/{column}", f"every value of a pick has a {column}, or none has")


def _cell(value: Any) -> str:
    if isinstance(value, str) and _stands_as_it_is(value):
        return value
    return msgspec.json.encode(value).decode()


def _stands_as_it_is(text: str) -> bool:
    return (
        text != ""
        and text == text.strip()
        and text[0] not in _FORMULA
        and all(character.isprintable() or character == "\n" for character in text)
        and _value(text) == text
    )


def _value(cell: str) -> Any:
    """Parses a cell that is not empty. Spreadsheets write TRUE for true."""
    if cell.lower() in _WORDS:
        return _WORDS[cell.lower()]
    if cell[0] in '"[{-0123456789':
        try:
            return cell if lossy(cell) else msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
    return cell
