"""A workflow's form: its fields, and the values that each accepts. The format is that of the component library."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import msgspec

from services.generation.domain.payload.draws import MAX_SEED
from services.generation.domain.payload.substitution import text_length
from shared.contracts.number_ranges import is_number
from shared.contracts.problem import quote


class Constraints(msgspec.Struct, frozen=True, rename={"max_length": "maxLength"}):
    """`max_length`: characters of a text or prompt with its variables drawn; a worker checks it again."""

    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    max_length: int | None = None

    @property
    def is_numeric(self) -> bool:
        return (self.min, self.max, self.step) != (None, None, None)


UNCONSTRAINED = Constraints()


class Field(msgspec.Struct, frozen=True):
    """One field of `form.json`. Members that only the platform's editor needs are not read."""

    id: str
    type: str
    input_type: str = ""
    """Of an `optional_input`: number or text."""
    name: str = ""
    default: Any = None
    constraints: Constraints | None = None
    options: list[Any] | None = None
    required: bool = False
    is_required: bool = False

    @property
    def limits(self) -> Constraints:
        return self.constraints or UNCONSTRAINED

    @property
    def must_be_set(self) -> bool:
        return (self.required or self.is_required) and self.default is None

    @property
    def is_seed(self) -> bool:
        """Whether -1 or absence asks for a seed that is drawn from the generation's hash."""
        return self.id == "seed"

    @property
    def seed_bounds(self) -> tuple[int, int]:
        """The least and the greatest seed that can be drawn."""
        limits = self.limits
        low = max(0, math.ceil(limits.min)) if limits.min is not None else 0
        high = math.floor(limits.max) if limits.max is not None else MAX_SEED
        return low, max(low, high)


def value_fault(field: Field, value: Any) -> str | None:
    """Why the field doesn't accept a value without tokens or references; None if it does."""
    check = _CHECKS.get(field.type)
    return check(field, value) if check is not None else None


def _optional(field: Field, value: Any) -> str | None:
    if field.input_type == "number" or field.limits.is_numeric:
        return _number(field, value)
    return None


def _text(field: Field, value: Any) -> str | None:
    if field.limits.is_numeric or (is_number(field.default) and not isinstance(value, str)):
        return _number(field, value)
    if not isinstance(value, str) and not is_number(value):
        return "takes a text or a number"
    most = field.limits.max_length
    return f"takes at most {most} characters" if most is not None and text_length(value) > most else None


def _number(field: Field, value: Any) -> str | None:
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


def _option(field: Field, value: Any) -> str | None:
    options = [_option_value(option) for option in field.options or []]
    if not options or any(option == value and type(option) is type(value) for option in options):
        return None
    return f"takes one of {', '.join(map(str, options[:50]))}, not {quote(value)}"


def _option_value(option: Any) -> Any:
    if isinstance(option, dict):
        return option.get("value", option.get("id", option.get("name")))
    return option


def _image(_: Field, value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("src", value.get("url")), str)):
        return None
    return 'takes an image: its URL, or {"$ref": <step id>}'


def _boolean(_: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"takes true or false, not {quote(value)}"


def _colour(_: Field, value: Any) -> str | None:
    return None if isinstance(value, str) else f"takes a colour such as #e2725b, not {quote(value)}"


_CHECKS: Mapping[str, Callable[[Field, Any], str | None]] = {
    "input": _text,
    "optional_input": _optional,
    "select": _option,
    "slider": _number,
    "image_loader": _image,
    "checkbox": _boolean,
    "color_picker": _colour,
}
"""By field type. Fields of other types accept any value."""
