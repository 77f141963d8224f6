"""Checks of a step's payload by its workflow's form, before anything is recorded.

A value with variables in it is checked with every value that they can take. What other steps will put into it is not
known yet, and not checked.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from services.generation.domain.payload.prompts import longest_prompt
from services.generation.domain.payload.substitution import substitute, text_length
from services.generation.domain.workflow.form import Field, value_fault
from shared.contracts.generation_input import names_in
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, quote
from shared.contracts.references import TOKEN, walk
from shared.contracts.rich_text import is_document

MAX_COMBINATIONS = 1_000
"""Values that one text with variables may become: each is checked."""
MAX_CHECKED = 1_000_000
"""Characters of all those values together: each is built."""

_WITHOUT_TEXT = frozenset({"slider", "checkbox"})
"""Types of fields that no text with a reference in it can set."""


class PossibleValues(msgspec.Struct, frozen=True):
    """The `values` that each variable can take in a job, and the `longest` of them in characters."""

    values: Mapping[str, Sequence[Any]]
    longest: Mapping[str, int]

    @classmethod
    def of(cls, values: Mapping[str, Sequence[Any]]) -> "PossibleValues":
        return cls(values, {name: max(map(text_length, options), default=0) for name, options in values.items()})


def payload_faults(
    fields: Sequence[Field], payload: Mapping[str, Any], possible: PossibleValues, pointer: str
) -> Iterator[Detail]:
    """The faults of a step's payload; `pointer` is the payload's."""
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


def _prompt_faults(field: Field, value: Any, possible: PossibleValues, where: str) -> Iterator[Detail]:
    if not isinstance(value, str) and not is_document(value) and not (isinstance(value, dict) and "$ref" in value):
        yield Detail(where, "takes a text or a rich document")
        return
    most, length = field.limits.max_length, longest_prompt(value, possible.longest)
    if most is not None and length > most:
        message = f"has up to {length} characters with its variables drawn; at most {most} are allowed"
        yield Detail(where, message)


def _text_faults(field: Field, text: str, possible: PossibleValues, where: str) -> Iterator[Detail]:
    """The first fault of the values that a text with tokens can become."""
    if any(walk(text)):
        if field.type in _WITHOUT_TEXT:
            yield Detail(where, f"a reference within a text can't set {field.name or field.id}")
        return
    names = list(dict.fromkeys(names_in(text)))
    count = math.prod(len(possible.values[name]) for name in names)
    if count > MAX_COMBINATIONS:
        number = str(count) if count <= 10**12 else "more than a trillion"
        message = f"its variables make {number} different values; at most {MAX_COMBINATIONS} are allowed"
        yield Detail(where, message)
        return
    if count * longest_prompt(text, possible.longest) > MAX_CHECKED:
        message = f"its {count} possible values have more than {MAX_CHECKED} characters together"
        yield Detail(where, message)
        return
    for values in itertools.product(*(possible.values[name] for name in names)):
        drawn_values = dict(zip(names, values, strict=True))
        value = substitute(text, drawn_values)
        fault = value_fault(field, value) if value not in (None, "") else None
        if fault is not None:
            listed = ", ".join(f"{name} = {quote(drawn_value)}" for name, drawn_value in drawn_values.items())
            yield Detail(where, f"with {listed}: {fault}")
            return
