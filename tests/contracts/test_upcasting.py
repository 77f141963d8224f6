"""What happens to the golden bytes of a type that is no longer written, on a made-up service with an upcaster."""

from typing import Any

from shared.contracts.language import Upcaster
from shared.runtime import ServiceDefinition
from tests.contracts import golden
from tests.contracts.made_up import event

FIRST = event(("name", str), ("size", int, 0))
SECOND = event(("first", str), ("last", str), ("size", int, 0), tag="thing_done.v2", name="ThingDoneV2")


def split_name(document: dict[str, Any]) -> dict[str, Any]:
    """v1 had one field for the whole name."""
    first, _, last = document["name"].partition(" ")
    return {"type": "thing_done.v2", "first": first, "last": last, "size": document.get("size", 0)}


def turned_round(document: dict[str, Any]) -> dict[str, Any]:
    """A later hand that means it well."""
    upcast = split_name(document)
    return {**upcast, "first": upcast["last"], "last": upcast["first"]}


def service(*events: Any, **upcasters: Upcaster) -> ServiceDefinition:
    upcasters_by_type = {f"{name}.v1": upcaster for name, upcaster in upcasters.items()}
    return ServiceDefinition("things", tuple(item.type for item in events), (), upcasters=upcasters_by_type)


EXAMPLES = golden.missing(FIRST, {})


def test_a_retired_type_is_read_through_its_service_s_upcaster() -> None:
    """Its golden bytes become events of the version that is written today."""
    codec = service(SECOND, thing_done=split_name).codec()
    assert golden.still_read(codec, FIRST.name, EXAMPLES)
    assert {type(codec.decode(FIRST.name, data)) for data in EXAMPLES.values()} == {SECOND.type}


def test_a_type_without_an_upcaster_can_t_be_retired() -> None:
    """Nor with one that breaks on what was stored, nor while nothing shows what was stored."""
    assert not golden.still_read(service(SECOND).codec(), FIRST.name, EXAMPLES)
    assert not golden.still_read(service(SECOND, thing_done=split_name).codec(), FIRST.name, {"full": b"{}"})
    assert not golden.still_read(service(SECOND, thing_done=split_name).codec(), FIRST.name, {})


def test_what_it_was_upcast_to_first_is_recorded() -> None:
    """Once for each of its examples, beside them."""
    codec = service(SECOND, thing_done=split_name).codec()
    added = golden.missing_upcasts(codec, FIRST.name, EXAMPLES)
    assert set(added) == {"minimal upcast", "full upcast"}
    assert added["minimal upcast"] == b'{"type":"thing_done.v2","first":"","last":"","size":0}'
    assert golden.missing_upcasts(codec, FIRST.name, {**EXAMPLES, **added}) == {}


def test_an_upcaster_that_tells_history_otherwise_is_caught() -> None:
    """Also years later; while a field that is added to the new version changes nothing."""
    codec = service(SECOND, thing_done=split_name).codec()
    examples = {**EXAMPLES, **golden.missing_upcasts(codec, FIRST.name, EXAMPLES)}
    assert golden.changed_upcasts(codec, FIRST.name, examples) == []
    assert golden.changed_upcasts(service(SECOND, thing_done=turned_round).codec(), FIRST.name, examples) == ["full"]
    grown = event(
        ("first", str), ("last", str), ("size", int, 0), ("at", str, ""), tag="thing_done.v2", name="ThingDoneV2"
    )
    assert golden.changed_upcasts(service(grown, thing_done=split_name).codec(), FIRST.name, examples) == []
