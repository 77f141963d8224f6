"""The traits of an artwork: its variables' values under their display names."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.contracts.collections import Trait


def traits_of(variables: Mapping[str, Any], declarations: Sequence[Any]) -> list[Trait]:
    """The drawn values in the order of the instructions' variables, without empty texts.

    `declarations` are the variables as the instructions declare them; unusable ones are skipped.
    """
    traits = []
    for declaration in declarations:
        name = declaration.get("name") if isinstance(declaration, dict) else None
        if not isinstance(name, str) or name not in variables:
            continue
        value = _display_value(variables[name], declaration.get("value"))
        if value != "":
            traits.append(Trait(name, value))
    return traits


def _display_value(value: Any, declared: Any) -> str | int | float:
    """A pick's value by its display name; numbers without one stay numbers."""
    if isinstance(declared, dict):
        values, names = declared.get("values") or [], declared.get("display_names") or []
        index = next((index for index, option in enumerate(values[: len(names)]) if option == value), None)
        if index is not None:
            return str(names[index])
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)
