"""Removes the values of secrets from all that leaves the worker: APIs repeat what they were sent."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

CUT = "***"
FORMS: dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    ":url": lambda value: quote(value, safe=""),
    ":path": quote,
    ":query": quote_plus,
    ":json": lambda value: json.dumps(value)[1:-1],
}
"""How a value may be written, by what `with_names` adds to its name."""


class Redaction:
    """The secrets of one attempt, by name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """By what is cut: `{{NAME}}`, `{{NAME:url}}`."""

    def add(self, name: str, value: str) -> None:
        """Adds a secret: its value is removed from now on."""
        for form, encode in FORMS.items():
            self._names.setdefault(encode(value), f"{{{{{name}{form}}}}}")
        self._names = dict(sorted(self._names.items(), key=lambda entry: len(entry[0]), reverse=True))

    def text(self, text: str) -> str:
        """The text with *** in place of each value: as it is, as in a URL, or as in JSON."""
        for value in self._names:
            text = text.replace(value, CUT)
        return text

    def json(self, value: Any) -> Any:
        """A JSON value with redacted texts."""
        return _mapped(value, self.text)

    def with_names(self, value: Any) -> Any:
        """A JSON value with `{{NAME}}` in the place of each secret, for a checkpoint; `with_values` undoes it."""

        def replace_values(text: str) -> str:
            for secret, name in self._names.items():
                text = text.replace(secret, name)
            return text

        return _mapped(value, replace_values)

    def with_values(self, value: Any) -> Any:
        """Reverses `with_names`, once the same secrets were added."""

        def valued(text: str) -> str:
            for secret, name in self._names.items():
                text = text.replace(name, secret)
            return text

        return _mapped(value, valued)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key): _mapped(member, change) for key, member in value.items()}
        case list():
            return [_mapped(member, change) for member in value]
    return value
