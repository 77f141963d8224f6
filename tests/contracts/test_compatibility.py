"""The compatibility check catches every kind of break, and lets every compatible change pass.

Each change is judged by the check, and beside it tried: bytes written before are read by the type as it is after, and
bytes written after by the type as it was.
"""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple
from uuid import UUID

import msgspec
import pytest

from shared.contracts.event import Event
from tests.contracts.catalogue import Contract
from tests.contracts.compatibility import compare
from tests.contracts.examples import full, minimal
from tests.contracts.golden import without_added_fields
from tests.contracts.made_up import described, event, struct


class Change(NamedTuple):
    before: Contract
    after: Contract
    field: str = ""
    message: str = ""


ID = ("thing_id", UUID)
PART, PART_WITHOUT_SIZE = struct("Part", ("name", str), ("size", int)), struct("Part", ("name", str))
BOUNDED = Annotated[int, msgspec.Meta(ge=5)]

BREAKS = {
    "a required field removed": Change(event(ID, ("name", str)), event(ID), "name", "is gone"),
    "an optional field removed": Change(event(ID, ("name", str, "")), event(ID), "name", "is gone"),
    "a field renamed": Change(event(("name", str, "")), event(("title", str, "")), "name", "has another name"),
    "another type": Change(event(("size", int)), event(("size", str)), "size", "was integer and is string"),
    "null allowed": Change(event(("size", int)), event(("size", int | None)), "size", "was integer and is"),
    "null forbidden": Change(event(("size", int | None)), event(("size", int)), "size", "or null and is integer"),
    "any value becomes a text": Change(event(("it", Any)), event(("it", str)), "it", "was anything and is string"),
    "a text becomes a UUID": Change(event(("it", str)), event(("it", UUID)), "it", "was string and is uuid"),
    "a field added without a default": Change(event(ID), event(ID, ("name", str)), "name", "new and required"),
    "a default taken away": Change(
        event(ID, ("name", str, "")), event(ID, ("name", str)), "name", "was optional and is required"
    ),
    "another default": Change(event(("size", int, 1)), event(("size", int, 2)), "size", "default was 1 and is 2"),
    "a required field left out when it has its default": Change(
        event(("size", int)), event(("size", int, 0), omit_defaults=True), "size", "old readers refuse"
    ),
    "an optional field left out when it has its default": Change(
        event(("size", int, 0)), event(("size", int, 0), omit_defaults=True), "size", "not be written as it was"
    ),
    "a choice added": Change(
        event(("kind", Literal["a", "b"])), event(("kind", Literal["a", "b", "c"])), "kind", "is one of a, b, c"
    ),
    "a choice removed": Change(
        event(("kind", Literal["a", "b"])), event(("kind", Literal["a"])), "kind", "was one of a, b"
    ),
    "a bound set": Change(event(("size", int)), event(("size", BOUNDED)), "size", '"minimum": 5'),
    "a part's field removed": Change(
        event(("part", PART)), event(("part", PART_WITHOUT_SIZE)), "part.size", "is gone"
    ),
    "a listed part's field removed": Change(
        event(("parts", list[PART])),  # type: ignore[valid-type]  # a type made at run time
        event(("parts", list[PART_WITHOUT_SIZE])),  # type: ignore[valid-type]  # a type made at run time
        "parts[].size",
        "is gone",
    ),
    "an optional part's field removed": Change(
        event(("part", PART | None, None)), event(("part", PART_WITHOUT_SIZE | None, None)), "part.size", "is gone"
    ),
    "other values in an object": Change(
        event(("sizes", dict[str, int])), event(("sizes", dict[str, str])), "sizes.*", "was integer and is string"
    ),
    "a list in place of one": Change(event(("name", str)), event(("name", list[str])), "name", "was string and is"),
    "no object but a list of values": Change(
        event(ID), event(ID, array_like=True), "", "its type was"
    ),
}  # fmt: skip

COMPATIBLE = {
    "nothing": Change(event(ID), event(ID)),
    "an optional field added": Change(event(ID), event(ID, ("name", str, "")), "name", "is new, and optional"),
    "an optional field added in front": Change(
        event(("size", int, 0)), event(("name", str, ""), ("size", int, 0)), "name", "is new, and optional"
    ),
    "an optional field added to a part": Change(
        event(("part", PART_WITHOUT_SIZE)),
        event(("part", struct("Part", ("name", str), ("size", int, 0)))),
        "part.size",
        "is new, and optional",
    ),
    "a default given": Change(event(("size", int)), event(("size", int, 0)), "size", "still always written"),
    "its class renamed": Change(event(ID), event(ID, name="ThingWasDone")),
    "a part's class renamed": Change(
        event(("part", PART)), event(("part", struct("Piece", ("name", str), ("size", int))))
    ),
}  # fmt: skip


def history_survives(before: Contract, after: Contract) -> bool:
    """Whether today's type reads all that was written before, losing and inventing nothing."""
    try:
        for example in (full(before.type), minimal(before.type)):
            data = msgspec.json.encode(example)
            again = msgspec.json.encode(msgspec.json.decode(data, type=after.type))
            if msgspec.json.decode(without_added_fields(again, data)) != msgspec.json.decode(data):
                return False
        expected, actual = _without_optional_fields(before, before), _without_optional_fields(before, after)
        return all(_narrowed(actual[key], expected[key]) == expected[key] for key in expected)
    except msgspec.MsgspecError:
        return False


def _without_optional_fields(writer: Contract, reader: Contract) -> dict[str, Any]:
    """What a reader takes from bytes of the time before a type got its optional fields."""
    fields = msgspec.structs.fields(writer.type)
    example = msgspec.to_builtins(minimal(writer.type))
    document = {"type": writer.name} | {field.name: example[field.name] for field in fields if field.required}
    values = msgspec.structs.asdict(msgspec.convert(document, reader.type))
    return {field.name: msgspec.to_builtins(values[field.name]) for field in fields}


def old_readers_can(before: Contract, after: Contract) -> bool:
    """Whether the type as it was reads what is written today, missing nothing that it knows."""
    try:
        for example in (full(after.type), minimal(after.type)):
            actual = msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(example), type=before.type))
            expected = msgspec.structs.asdict(example)
            if any(
                _narrowed(msgspec.to_builtins(expected[key]), actual[key]) != actual[key]
                for key in actual.keys() & expected
            ):
                return False
    except msgspec.MsgspecError:
        return False
    return True


def _narrowed(value: Any, like: Any) -> Any:
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: value[key] for key in value if key in like}
    return value


@pytest.mark.parametrize("change", BREAKS.values(), ids=BREAKS)
def test_a_break_is_caught(change: Change) -> None:
    """The fault names the field and its change, and decoding really fails."""
    findings = compare(described([change.before]), described([change.after]))
    broken = [finding for finding in findings if finding.breaks]
    assert [(item.contract, item.field) for item in broken] == [("thing_done.v1", change.field)]
    assert change.message in broken[0].message
    assert not (history_survives(change.before, change.after) and old_readers_can(change.before, change.after))


@pytest.mark.parametrize("change", COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_compatible_change_passes(change: Change) -> None:
    """It asks to be recorded where bytes can look otherwise now; and it is compatible: all can read all."""
    findings = compare(described([change.before]), described([change.after]))
    assert [finding.field for finding in findings] == ([change.field] if change.field else [])
    assert not [finding for finding in findings if finding.breaks]
    assert all(change.message in finding.message for finding in findings)
    assert history_survives(change.before, change.after)
    assert old_readers_can(change.before, change.after)


def test_every_break_of_a_type_is_said_at_once() -> None:
    """All faults are reported at once."""
    before, after = event(ID, ("name", str), ("size", int)), event(("name", int), ("at", str))
    findings = compare(described([before]), described([after]))
    assert [finding.field for finding in findings] == ["thing_id", "name", "size", "at"]


def test_refusing_unknown_fields_is_a_break() -> None:
    """Nothing could be added to the type any more without breaking those that refuse it."""
    [finding] = compare(described([event(ID)]), described([event(ID, forbid_unknown_fields=True)]))
    assert finding.breaks
    assert "refuses unknown fields" in finding.message


def test_a_type_may_be_added() -> None:
    """It only has to be recorded."""
    [finding] = compare(described([event(ID)]), described([event(ID), event(ID, tag="thing_undone.v1")]))
    assert (finding.contract, finding.breaks) == ("thing_undone.v1", False)


def test_a_type_can_t_go_while_nothing_reads_its_history() -> None:
    """With an upcaster it may."""
    recorded = described([event(ID), event(ID, tag="thing_undone.v1", name="ThingUndone")])
    [finding] = compare(recorded, described([event(ID)]))
    assert (finding.contract, finding.breaks) == ("thing_undone.v1", True)
    assert compare(recorded, described([event(ID)]), upcast={"thing_undone.v1"}) == []


def test_another_tag_is_a_type_gone_and_another_new() -> None:
    """And it is said which class it was."""
    removal, addition = compare(described([event(ID)]), described([event(ID, tag="thing_was_done.v1")]))
    assert (removal.breaks, addition.breaks) == (True, False)
    assert "its class ThingDone has another tag now, thing_was_done.v1" in removal.message


def test_another_aggregate_is_a_break() -> None:
    """Subjects name it, so consumers would no longer be sent the event."""

    class ItemEvent(Event, frozen=True):
        aggregate: ClassVar[str] = "item"

    [finding] = compare(described([event(ID)]), described([event(ID, base=ItemEvent)]))
    assert finding.breaks
    assert "was thing and is item" in finding.message
