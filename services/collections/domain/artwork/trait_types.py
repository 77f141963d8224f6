"""The type that all values of a trait have over a collection, and a value as that type writes it.

Marketplaces sort and count a trait by one type, and many read JSON numbers as doubles. So a trait is a number only if
every token's value is one that a double holds and JSON writes without an exponent; else all of its values are texts.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from shared.contracts.collections import DocumentRules, Trait, TraitType

VERSION = 3
"""Of the rules by which this release writes the metadata of a publication."""
LARGEST = 2**53 - 1
"""The largest whole number that every reader of JSON reads exactly."""
SMALLEST = 1e-5
"""Smaller fractions have an exponent in JSON."""
_ORDER: tuple[TraitType, ...] = ("integer", "number", "text")
"""From the narrowest: a trait has the widest type of its values."""


def document_rules(traits_of_tokens: Iterable[Sequence[Trait]]) -> DocumentRules:
    """The rules for the documents of these tokens."""
    types: dict[str, TraitType] = {}
    for traits in traits_of_tokens:
        for trait in traits:
            types[trait.name] = max(type_of(trait.value), types.get(trait.name, "integer"), key=_ORDER.index)
    return DocumentRules(VERSION, types)


def type_of(value: str | float) -> TraitType:
    """The narrowest type of a single value."""
    if isinstance(value, str) or abs(value) > LARGEST:
        return "text"
    if value == int(value):
        return "integer"
    return "number" if abs(value) >= SMALLEST else "text"


def typed(trait: Trait, rules: DocumentRules | None) -> Trait:
    """The trait with its value as the collection's rules write it; as it was recorded if there are none."""
    if rules is None:
        return trait
    match rules.traits.get(trait.name) or type_of(trait.value):
        case "text":
            return Trait(trait.name, plain(trait.value))
        case _:
            assert not isinstance(trait.value, str), "a trait with a text has the type text"
            return Trait(trait.name, _number(trait.value))


def plain(value: str | float) -> str:
    """A value as text; a number in plain decimal notation, with all its digits and no exponent."""
    if isinstance(value, str):
        return value
    value = _number(value)
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")


def _number(value: float) -> int | float:
    """Whole numbers without a fraction: 20, not 20.0."""
    return int(value) if value == int(value) else value
