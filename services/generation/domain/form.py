"""A workflow's form: the fields that a step's payload may set, and whether it sets them rightly.

The format is that of the platform's component library (`form.json`). Values that hold variables are checked for every
value that the variable can take, before anything is recorded; values that other steps make can't be known yet.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from services.generation.domain.substitution import drawn, is_document
from shared.contracts.generation_input import names_in
from shared.contracts.problem import Detail
from shared.contracts.references import TOKEN, escaped, walk
from shared.contracts.variables import is_number

MAX_COMBINATIONS = 1_000
"""Texts that one value with variables may become and still be checked one by one."""


class Constraints(msgspec.Struct, frozen=True):
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None


class Field(msgspec.Struct, frozen=True):
    """One field of `form.json`; what the platform's editor alone needs is not read."""

    id: str
    type: str
    name: str = ""
    default: Any = None
    constraints: Constraints | None = None
    options: list[Any] | None = None
    required: bool = False
    is_required: bool = False

    @property
    def must_be_set(self) -> bool:
        return (self.required or self.is_required) and self.default is None

    @property
    def is_seed(self) -> bool:
        """A field named `seed` that holds a number: -1 and absence ask for one drawn from the hash."""
        return self.id == "seed"

    @property
    def seed_bounds(self) -> tuple[int, int]:
        limits = self.constraints or Constraints()
        low = max(0, math.ceil(limits.min)) if limits.min is not None else 0
        high = math.floor(limits.max) if limits.max is not None else 2**32 - 1
        return low, max(low, high)


def payload_faults(
    fields: Sequence[Field], payload: Mapping[str, Any], possible: Mapping[str, Sequence[Any]], pointer: str
) -> Iterator[Detail]:
    """What is wrong with a step's payload.

    `possible` says which values each variable can take in this job, `pointer` where the payload stands.
    """
    for field in fields:
        where = f"{pointer}/{escaped(field.id)}"
        value = payload.get(field.id)
        if value is None or value == "":
            if field.must_be_set:
                yield Detail(where, f"{field.name or field.id} is required")
            continue
        if isinstance(value, str) and TOKEN.search(value):
            yield from _text_faults(field, value, possible, where)
        elif not (isinstance(value, dict) and "$ref" in value):
            fault = value_fault(field, value)
            if fault is not None:
                yield Detail(where, fault)


def value_fault(field: Field, value: Any) -> str | None:
    """Why a value is not one of the field's, or None."""
    check = _CHECKS.get(field.type)
    return check(field, value) if check is not None else None


def _text_faults(field: Field, text: str, possible: Mapping[str, Sequence[Any]], where: str) -> Iterator[Detail]:
    """A text with tokens becomes one of several values: each must be right. One fault is enough to tell."""
    if any(walk(text)):
        if field.type in _TEXTLESS:
            yield Detail(where, f"{field.name or field.id} can't be made of a text")
        return
    names = list(dict.fromkeys(names_in(text)))
    if field.type == "prompt_editor":
        return
    count = math.prod(len(possible[name]) for name in names)
    if count > MAX_COMBINATIONS:
        yield Detail(where, f"these variables make {count} different values, more than the {MAX_COMBINATIONS} possible")
        return
    for values in itertools.product(*(possible[name] for name in names)):
        drawn_values = dict(zip(names, values, strict=True))
        value = drawn(text, drawn_values)
        fault = value_fault(field, value) if value not in (None, "") else None
        if fault is not None:
            shown = ", ".join(f"{name} = {each!r}" for name, each in drawn_values.items())
            yield Detail(where, f"with {shown}: {fault}")
            return


def _prompt(_: Field, value: Any) -> str | None:
    if isinstance(value, str) or is_document(value):
        return None
    return "takes a text or a rich document"


def _text(field: Field, value: Any) -> str | None:
    if field.constraints is not None or (is_number(field.default) and not isinstance(value, str)):
        return _within(field, value)
    return None if isinstance(value, str) or is_number(value) else "takes a text or a number"


def _within(field: Field, value: Any) -> str | None:
    if not is_number(value):
        return f"takes a number, not {_shown(value)}"
    if field.is_seed and value == -1:
        return None
    limits = field.constraints or Constraints()
    if limits.min is not None and value < limits.min:
        return f"takes a number of at least {limits.min}, not {value}"
    if limits.max is not None and value > limits.max:
        return f"takes a number of at most {limits.max}, not {value}"
    if limits.step:
        offset = Fraction(repr(value)) - Fraction(repr(limits.min or 0))
        if offset % Fraction(repr(limits.step)):
            return f"takes steps of {limits.step} from {limits.min or 0}, not {value}"
    return None


def _one_of(field: Field, value: Any) -> str | None:
    options = [_option(option) for option in field.options or []]
    if not options or any(option == value and type(option) is type(value) for option in options):
        return None
    return f"takes one of {', '.join(map(str, options[:50]))}, not {_shown(value)}"


def _option(option: Any) -> Any:
    if isinstance(option, dict):
        return option.get("value", option.get("id", option.get("name")))
    return option


def _image(_: Field, value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("src", value.get("url")), str)):
        return None
    return 'takes an image: its URL, or {"$ref": <step id>}'


def _truth(_: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"takes true or false, not {_shown(value)}"


def _colour(_: Field, value: Any) -> str | None:
    return None if isinstance(value, str) else f"takes a colour such as #e2725b, not {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_CHECKS: Mapping[str, Callable[[Field, Any], str | None]] = {
    "prompt_editor": _prompt,
    "input": _text,
    "select": _one_of,
    "slider": _within,
    "image_loader": _image,
    "checkbox": _truth,
    "color_picker": _colour,
}
"""By field type. `optional_input`, and types that are not known, take whatever the workflow makes of it."""

_TEXTLESS = frozenset({"slider", "checkbox"})
