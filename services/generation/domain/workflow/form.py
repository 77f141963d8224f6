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

from services.generation.domain.payload.substitution import drawn, is_document, longest_prompt, text_length
from shared.contracts.generation_input import names_in
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, quote
from shared.contracts.references import TOKEN, walk
from shared.contracts.variables import is_number

MAX_COMBINATIONS = 1_000
"""Texts that one value with variables may become and still be checked one by one."""
MAX_CHECKED = 1_000_000
"""Characters that all those texts may have together: each is made in full to be checked."""


class Constraints(msgspec.Struct, frozen=True, rename={"max_length": "maxLength"}):
    """`max_length`: characters of a text or prompt, with its variables drawn. The worker refuses more, too."""

    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    max_length: int | None = None

    @property
    def is_numeric(self) -> bool:
        return (self.min, self.max, self.step) != (None, None, None)


NONE = Constraints()


class Possible(msgspec.Struct, frozen=True):
    """What the variables of a job can be: `values` that each can take, and the `longest` of them in characters."""

    values: Mapping[str, Sequence[Any]]
    longest: Mapping[str, int]

    @classmethod
    def of(cls, values: Mapping[str, Sequence[Any]]) -> "Possible":
        return cls(values, {name: max(map(text_length, each), default=0) for name, each in values.items()})


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
    def limits(self) -> Constraints:
        return self.constraints or NONE

    @property
    def must_be_set(self) -> bool:
        return (self.required or self.is_required) and self.default is None

    @property
    def is_seed(self) -> bool:
        """A field named `seed` that holds a number: -1 and absence ask for one drawn from the hash."""
        return self.id == "seed"

    @property
    def seed_bounds(self) -> tuple[int, int]:
        limits = self.limits
        low = max(0, math.ceil(limits.min)) if limits.min is not None else 0
        high = math.floor(limits.max) if limits.max is not None else 2**32 - 1
        return low, max(low, high)


def payload_faults(
    fields: Sequence[Field], payload: Mapping[str, Any], possible: Possible, pointer: str
) -> Iterator[Detail]:
    """What is wrong with a step's payload, which stands at `pointer`."""
    for field in fields:
        where = f"{pointer}/{escape_token(field.id)}"
        value = payload.get(field.id)
        if value is None or value == "":
            if field.must_be_set:
                yield Detail(where, f"{field.name or field.id} is required")
        elif field.type == "prompt_editor":
            yield from _prompt_faults(field, value, possible, where)
        elif isinstance(value, str) and TOKEN.search(value):
            yield from _text_faults(field, value, possible, where)
        elif not (isinstance(value, dict) and "$ref" in value):
            fault = value_fault(field, value)
            if fault is not None:
                yield Detail(where, fault)


def value_fault(field: Field, value: Any) -> str | None:
    """Why a value is not one of the field's, or None."""
    check = _CHECKS.get(field.type)
    return check(field, value) if check is not None else None


def _prompt_faults(field: Field, value: Any, possible: Possible, where: str) -> Iterator[Detail]:
    """What other steps put into a prompt is not known yet, so it is not counted."""
    if not isinstance(value, str) and not is_document(value) and not (isinstance(value, dict) and "$ref" in value):
        yield Detail(where, "takes a text or a rich document")
        return
    most, length = field.limits.max_length, longest_prompt(value, possible.longest)
    if most is not None and length > most:
        yield Detail(where, f"with its variables drawn, this has up to {length} characters, more than {most}")


def _text_faults(field: Field, text: str, possible: Possible, where: str) -> Iterator[Detail]:
    """A text with tokens becomes one of several values: each must be right. One fault is enough to tell."""
    if any(walk(text)):
        if field.type in _TEXTLESS:
            yield Detail(where, f"{field.name or field.id} can't be made of a text")
        return
    names = list(dict.fromkeys(names_in(text)))
    count = math.prod(len(possible.values[name]) for name in names)
    if count > MAX_COMBINATIONS:
        made = "a great many" if count > 10**12 else str(count)
        message = f"these variables make {made} different values, more than the {MAX_COMBINATIONS} possible"
        yield Detail(where, message)
        return
    if count * longest_prompt(text, possible.longest) > MAX_CHECKED:
        yield Detail(where, "this is too long for a value that is made of so many variables")
        return
    for values in itertools.product(*(possible.values[name] for name in names)):
        drawn_values = dict(zip(names, values, strict=True))
        value = drawn(text, drawn_values)
        fault = value_fault(field, value) if value not in (None, "") else None
        if fault is not None:
            said = ", ".join(f"{name} = {quote(each)}" for name, each in drawn_values.items())
            yield Detail(where, f"with {said}: {fault}")
            return


def _text(field: Field, value: Any) -> str | None:
    if field.limits.is_numeric or (is_number(field.default) and not isinstance(value, str)):
        return _within(field, value)
    if not isinstance(value, str) and not is_number(value):
        return "takes a text or a number"
    most = field.limits.max_length
    return f"takes at most {most} characters" if most is not None and text_length(value) > most else None


def _within(field: Field, value: Any) -> str | None:
    if not is_number(value):
        return f"takes a number, not {quote(value)}"
    if field.is_seed and value == -1:
        return None
    limits = field.limits
    if limits.min is not None and value < limits.min:
        return f"takes a number of at least {limits.min}, not {quote(value)}"
    if limits.max is not None and value > limits.max:
        return f"takes a number of at most {limits.max}, not {quote(value)}"
    if limits.step:
        offset = Fraction(repr(value)) - Fraction(repr(limits.min or 0))
        if offset % Fraction(repr(limits.step)):
            return f"takes steps of {limits.step} from {limits.min or 0}, not {quote(value)}"
    return None


def _one_of(field: Field, value: Any) -> str | None:
    options = [_option(option) for option in field.options or []]
    if not options or any(option == value and type(option) is type(value) for option in options):
        return None
    return f"takes one of {', '.join(map(str, options[:50]))}, not {quote(value)}"


def _option(option: Any) -> Any:
    if isinstance(option, dict):
        return option.get("value", option.get("id", option.get("name")))
    return option


def _image(_: Field, value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("src", value.get("url")), str)):
        return None
    return 'takes an image: its URL, or {"$ref": <step id>}'


def _truth(_: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"takes true or false, not {quote(value)}"


def _colour(_: Field, value: Any) -> str | None:
    return None if isinstance(value, str) else f"takes a colour such as #e2725b, not {quote(value)}"


_CHECKS: Mapping[str, Callable[[Field, Any], str | None]] = {
    "input": _text,
    "select": _one_of,
    "slider": _within,
    "image_loader": _image,
    "checkbox": _truth,
    "color_picker": _colour,
}
"""By field type. `optional_input`, and types that are not known, take whatever the workflow makes of it."""

_TEXTLESS = frozenset({"slider", "checkbox"})
