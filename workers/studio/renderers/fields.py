"""Reading a step's payload: what is missing has a default, what is wrong is refused with its JSON pointer."""

from typing import Any


class Refused(Exception):  # noqa: N818 - the step's input is refused; the worker itself is well
    """An input that no further attempt will make right."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def invalid(pointer: str, message: str) -> Refused:
    return Refused("VALIDATION_FAILED", f"{pointer}: {message}")


def text(payload: dict[str, Any], name: str, *, default: str | None = None, longest: int) -> str:
    value = payload.get(name)
    if value is None:
        if default is None:
            raise invalid(f"/{name}", "is required, a text")
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise invalid(f"/{name}", f"must be a text, not {_kind(value)}")
    if len(str(value)) > longest:
        raise invalid(f"/{name}", f"must have at most {longest} characters, not {len(str(value))}")
    return str(value)


def whole(payload: dict[str, Any], name: str, *, default: int, low: int, high: int) -> int:
    """A whole number; texts and floats that are one are taken too, since forms send them."""
    value = payload.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (isinstance(value, float) and value != number):
        raise invalid(f"/{name}", f"must be a whole number, not {_kind(value)}")
    if not low <= number <= high:
        raise invalid(f"/{name}", f"must lie between {low} and {high}, not {number}")
    return number


def choice(payload: dict[str, Any], name: str, options: tuple[str, ...]) -> str | None:
    value = payload.get(name)
    if value is None or value in ("", "auto"):
        return None
    if value not in options:
        raise invalid(f"/{name}", f"must be one of auto, {', '.join(options)}")
    return str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null", str: "such a text"}
    return names.get(type(value), f"{value!r}"[:80])
