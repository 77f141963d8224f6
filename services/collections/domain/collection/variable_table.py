"""Variables as a CSV table, for spreadsheets. Reading a table that was written returns the same variables exactly.

A variable has one row; a pick, and a number with a list of weighted values, has one row for each value, with its name
in the first. Columns: `name`, `type`, `value_type`, `lock_value`, `test_value`; `value`, and in these rows
`display_name` and `weight`; `more`, a JSON object with the members that have no column (`variable`: those of the
variable, `value`: those of its value). A number's range is a JSON object in `value`. An empty cell stands for a missing
member.

A cell that is a JSON number, string, list, object, true, false or null has this value; any other cell is a text. So a
text that looks like JSON is written as a JSON string, and so is one that a spreadsheet would run as a formula.
"""

import csv
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.contracts.json_forms import lossy
from shared.contracts.problem import Detail, invalid

COLUMNS = ("name", "type", "value_type", "lock_value", "test_value", "value", "display_name", "weight", "more")
MAX_FAULTS = 100
_VARIABLE_COLUMNS = ("name", "type", "value_type", "lock_value", "test_value")
_PICK_COLUMNS = {"value": "values", "display_name": "display_names", "weight": "weights"}
_LISTED_TYPES = ("pick", "number")
_LITERALS = {"true": True, "false": False, "null": None}
_FORMULA = "=+-@"
csv.field_size_limit(2**31 - 1)
"""For the whole process. The csv module's default, 131,072 characters in a cell, is less than a variable may have.
The route bounds the size of a table."""

Variable = dict[str, Any]
Cells = dict[str, Any]


class _Lines:
    """A target for csv.writer that appends to a list, since the domain does no I/O."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def table_of(variables: list[Variable]) -> str:
    """The table of a collection's variables: CSV as in RFC 4180, with a header."""
    lines: list[str] = []
    writer = csv.writer(_Lines(lines))
    writer.writerow(COLUMNS)
    for variable in variables:
        for cells in _rows(variable):
            writer.writerow([_cell(cells[column]) if column in cells else "" for column in COLUMNS])
    return "".join(lines)


def variables_of(table: str) -> list[Variable]:
    """The variables of a table. The command that sets them checks whether they are valid.

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
                faults.append(Detail(f"/{line}/name", "the first row must have the name of a variable"))
    except csv.Error as error:
        faults.append(Detail("", f"this is not CSV: {error}"))
    for index, line in picks.items():
        faults.extend(_length_faults(variables[index], line))
    if faults:
        raise invalid(f"The table can't be read: {faults[0].message}", *faults[:MAX_FAULTS])
    return variables


def _rows(variable: Variable) -> Iterator[Cells]:
    first = {name: variable[name] for name in _VARIABLE_COLUMNS if name in variable}
    more: dict[str, Any] = {}
    others = {name: value for name, value in variable.items() if name not in (*_VARIABLE_COLUMNS, "value")}
    if others:
        more["variable"] = others
    value = variable.get("value")
    rest: list[Cells] = []
    if isinstance(value, dict) and _is_listed(variable):
        lists = {column: value[name] for column, name in _PICK_COLUMNS.items() if isinstance(value.get(name), list)}
        unlisted = {
            name: member for name, member in value.items() if name not in [_PICK_COLUMNS[column] for column in lists]
        }
        if unlisted:
            more["value"] = unlisted
        head, *rest = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        first |= head
    elif "value" in variable:
        first["value"] = value
    if more:
        first["more"] = more
    yield first
    yield from rest


def _is_listed(variable: Variable) -> bool:
    """Whether a variable has a row for each value: its lists have equal lengths, its values are scalars.

    A number's values have rows only with weights, without which the first would look like a number that is not drawn.
    """
    value = variable.get("value")
    if variable.get("type") not in _LISTED_TYPES or not isinstance(value, dict):
        return False
    if variable["type"] == "number" and not isinstance(value.get("weights"), list):
        return False
    lists = [value[name] for name in _PICK_COLUMNS.values() if isinstance(value.get(name), list)]
    values = value.get("values")
    return (
        isinstance(values, list)
        and bool(values)
        and all(len(items) == len(values) for items in lists)
        and not any(isinstance(item, dict | list | None) for item in values)
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
    if not isinstance(more, dict) or not all(isinstance(member, dict) for member in more.values()):
        message = "more is a JSON object with the objects variable and value"
        raise invalid(f"The table can't be read: {message}", Detail(f"/{line}/more", message))


def _variable(cells: Cells) -> Variable:
    more = cells.get("more", {})
    variable = {name: cells[name] for name in _VARIABLE_COLUMNS if name in cells}
    is_listed = cells.get("type") == "pick" or (cells.get("type") == "number" and "weight" in cells)
    if is_listed and not isinstance(cells.get("value"), dict):
        lists = {name: [cells[column]] for column, name in _PICK_COLUMNS.items() if column in cells}
        variable["value"] = {**lists, **more.get("value", {})}
    elif "value" in cells:
        variable["value"] = cells["value"]
    return {**variable, **more.get("variable", {})}


def _add_value(variable: Variable, cells: Cells, line: int) -> Iterator[Detail]:
    value = variable.get("value")
    if variable.get("type") not in _LISTED_TYPES or not isinstance(value, dict):
        message = "a row without a name must follow a pick or a number with weights, to which it adds a value"
        yield Detail(f"/{line}/name", message)
        return
    for column, cell in cells.items():
        if column in _PICK_COLUMNS:
            items = value.setdefault(_PICK_COLUMNS[column], [])
            if isinstance(items, list):
                items.append(cell)
                continue
        yield Detail(f"/{line}/{column}", f"{column} belongs in the row with the variable's name")


def _length_faults(variable: Variable, line: int) -> Iterator[Detail]:
    value = variable.get("value")
    if variable.get("type") not in _LISTED_TYPES or not isinstance(value, dict):
        return
    lists = {column: value[name] for column, name in _PICK_COLUMNS.items() if isinstance(value.get(name), list)}
    for column, items in lists.items():
        if len(items) != len(lists.get("value", items)):
            yield Detail(f"/{line}/{column}", f"every value of a {variable['type']} has a {column}, or none has")


def _cell(value: Any) -> str:
    if isinstance(value, str) and _is_plain_text(value):
        return value
    return msgspec.json.encode(value).decode()


def _is_plain_text(text: str) -> bool:
    """Whether a cell with this text is read back unchanged, and no spreadsheet changes it."""
    return (
        text != ""
        and text == text.strip()
        and text[0] not in _FORMULA
        and all(character.isprintable() or character == "\n" for character in text)
        and _value(text) == text
    )


def _value(cell: str) -> Any:
    """Parses a cell that is not empty. Spreadsheets write TRUE for true."""
    if cell.lower() in _LITERALS:
        return _LITERALS[cell.lower()]
    if cell[0] in '"[{-0123456789':
        try:
            return cell if lossy(cell) else msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
    return cell
