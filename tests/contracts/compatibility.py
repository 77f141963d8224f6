"""Checks contracts for backward and forward compatibility.

Both are needed, because stored events are the published ones: history is never rewritten, and during a rolling update
the previous release reads what the new one writes. Types and optional fields may be added; any other change needs a new
version of the type.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from tests.contracts.schemas import OMITTED, Recorded, Schema


class Finding(NamedTuple):
    """One difference. `field` is empty for the contract as a whole; `breaks`: it is incompatible."""

    contract: str
    field: str
    message: str
    breaks: bool

    def __str__(self) -> str:
        return f"{self.contract}{f', field {self.field}' if self.field else ''}: {self.message}"


def compare(recorded: Recorded, today: Recorded, upcast: Collection[str] = ()) -> list[Finding]:
    """The differences between an owner's contracts as recorded and today.

    `upcast`: types that are no longer written and can still be read.
    """
    findings = []
    for name, before in recorded.items():
        if name in today:
            findings += [Finding(name, *difference) for difference in _contract(before, today[name])]
        elif name not in upcast:
            findings.append(Finding(name, "", _gone(before, recorded, today), breaks=True))
    new = [name for name in today if name not in recorded]
    return findings + [Finding(name, "", "is new", breaks=False) for name in new]


_Difference = tuple[str, str, bool]


def _gone(before: Mapping[str, Any], recorded: Recorded, today: Recorded) -> str:
    new_tag = next(
        (name for name, now in today.items() if now["class"] == before["class"] and name not in recorded), None
    )
    if new_tag:
        return f"its class {before['class']} has another tag now, {new_tag}, and nothing reads the old one"
    return "is gone, and nothing reads those that were written"


def _contract(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[_Difference]:
    if before["aggregate"] != now["aggregate"]:
        message = f"its aggregate was {before['aggregate']} and is {now['aggregate']}: its subjects would change"
        yield "", message, True
    yield from _schema(before["schema"], now["schema"], "")


def _schema(before: Schema, now: Schema, field: str) -> Iterator[_Difference]:
    if "properties" in before and "properties" in now:
        yield from _fields(before, now, field)
        compared = {"properties", "required", OMITTED, "default", "additionalProperties"}
    elif _nested(before, now, "items") or _nested(before, now, "additionalProperties"):
        key = "items" if _nested(before, now, "items") else "additionalProperties"
        yield from _schema(before[key], now[key], f"{field}[]" if key == "items" else f"{field}.*")
        compared = {key, "default"}
    elif len(before.get("anyOf", ())) == len(now.get("anyOf", ())) > 0:
        for one, other in zip(before["anyOf"], now["anyOf"], strict=True):
            yield from _schema(one, other, field)
        compared = {"anyOf", "default"}
    else:
        compared = {"default"}
    if _rest(before, compared) != _rest(now, compared):
        yield field, f"its type was {_shown(_rest(before, compared))} and is {_shown(_rest(now, compared))}", True


def _nested(before: Schema, now: Schema, key: str) -> bool:
    return isinstance(before.get(key), dict) and isinstance(now.get(key), dict)


def _rest(schema: Schema, compared: Collection[str]) -> Schema:
    return {key: value for key, value in schema.items() if key not in compared}


def _shown(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_shown(alternative) for alternative in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.keys() <= {"type", "format"}:
        return str(schema.get("format", schema.get("type", "anything")))
    return json.dumps(schema)


def _fields(before: Schema, now: Schema, inside: str) -> Iterator[_Difference]:
    prefix = f"{inside}." if inside else ""
    old, new = before["properties"], now["properties"]
    for name in old:
        if name not in new:
            yield f"{prefix}{name}", "is gone, or has another name", True
        else:
            yield from _schema(old[name], new[name], f"{prefix}{name}")
            yield from _presence(name, before, now, f"{prefix}{name}")
    for name in new:
        if name not in old and name in now.get("required", ()):
            yield f"{prefix}{name}", "is new and required, and what was written before has no such field", True
        elif name not in old:
            yield f"{prefix}{name}", "is new, and optional", False
    if now.get("additionalProperties") is False and before.get("additionalProperties") is not False:
        yield inside, "refuses unknown fields now, so nothing could ever be added to it", True


def _presence(name: str, before: Schema, now: Schema, field: str) -> Iterator[_Difference]:
    """Differences in whether the field may be absent, and in its default."""
    was, is_ = name in before.get("required", ()), name in now.get("required", ())
    if is_ and not was:
        yield field, "was optional and is required, and what was written before may lack it", True
    if was and not is_:
        if name in now.get(OMITTED, ()):
            yield field, "was required and is left out when it has its default, which old readers refuse", True
        else:
            yield field, "was required and has a default now, and is still always written", False
    if not was and not is_:
        old, new = before["properties"][name], now["properties"][name]
        if (old.get("default"), "default" in old) != (new.get("default"), "default" in new):
            message = (
                f"its default was {old.get('default')!r} and is {new.get('default')!r}: what lacks it would change"
            )
            yield field, message, True
        elif (name in before.get(OMITTED, ())) != (name in now.get(OMITTED, ())):
            message = "is left out when it has its default, or no longer: history would not be written as it was"
            yield field, message, True
