"""The codec encodes events to stored bytes, and decodes the bytes of every earlier version."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.event import Event, event_type
from shared.contracts.problem import Problem
from shared.eventstore import Codec, UnknownEventType
from shared.eventstore.codec import MAX_EVENT


class Named(Event, frozen=True, tag="named.v3"):
    first: str
    last: str
    title: str = ""


class Counted(Event, frozen=True, tag="counted.v1"):
    by: int
    note: str | None = None


def from_v1(document: dict[str, object]) -> dict[str, object]:
    """v1 had one field for the whole name."""
    first, _, last = str(document["name"]).partition(" ")
    return {"type": "named.v2", "first": first, "surname": last}


def from_v2(document: dict[str, object]) -> dict[str, object]:
    """v2 called the last name `surname`."""
    return {"type": "named.v3", "first": document["first"], "last": document["surname"]}


UPCASTERS = {"named.v1": from_v1, "named.v2": from_v2}


def test_events_are_stored_as_json_with_their_type() -> None:
    """The stored bytes are the published ones: one JSON object with its type."""
    tag, data = Codec([Counted]).encode(Counted(2, "sheep"))
    assert tag == "counted.v1"
    assert data == b'{"type":"counted.v1","by":2,"note":"sheep"}'


@given(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_an_encoded_event_is_decoded_to_an_equal_one(by: int, note: str | None) -> None:
    """For any values of its fields."""
    codec = Codec([Counted])
    assert codec.decode(*codec.encode(Counted(by, note))) == Counted(by, note)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\\\0", "\\\\\0", '"\0'])
def test_nul_is_refused(text: str) -> None:
    """PostgreSQL's text and json columns can't hold it, so every read table would stop at the event."""
    with pytest.raises(Problem) as refused:
        Codec([Counted]).encode(Counted(1, text))
    assert refused.value.code == "VALIDATION_FAILED"


@pytest.mark.parametrize("text", ["\\u0000", "u0000", "\\\\u0000", "\x01", "\\\\\\u0000"])
def test_an_escaped_backslash_before_u0000_is_accepted(text: str) -> None:
    """It is a backslash and some letters, not an escape of NUL."""
    codec = Codec([Counted])
    assert codec.decode(*codec.encode(Counted(1, text))) == Counted(1, text)


@pytest.mark.parametrize(
    ("tag", "document"),
    [
        ("named.v1", {"type": "named.v1", "name": "Ada Lovelace"}),
        ("named.v2", {"type": "named.v2", "first": "Ada", "surname": "Lovelace"}),
        ("named.v3", {"type": "named.v3", "first": "Ada", "last": "Lovelace"}),
    ],
)
def test_old_versions_are_upcast(tag: str, document: dict[str, str]) -> None:
    """Step by step, from any older version to the newest."""
    codec = Codec([Named], upcasters=UPCASTERS)
    assert codec.decode(tag, json.dumps(document).encode()) == Named("Ada", "Lovelace")


def test_a_version_with_an_upcaster_is_upcast_while_its_class_is_kept() -> None:
    """Its class may be needed for writing."""

    class Old(Event, frozen=True, tag="named.v2"):
        first: str
        surname: str

    codec = Codec([Old, Named], upcasters=UPCASTERS)
    assert codec.decode(*codec.encode(Old("Ada", "Lovelace"))) == Named("Ada", "Lovelace")


def test_an_upcaster_without_a_newer_version_is_rejected() -> None:
    """When the service starts, not when the first old event is read."""
    with pytest.raises(ValueError, match=r"named\.v1 is upcast to named\.v3"):
        Codec([Counted], upcasters=UPCASTERS)


def test_an_error_of_an_upcaster_is_a_decoding_error() -> None:
    """So the event counts as damaged, and can be parked."""
    codec = Codec([Named], upcasters=UPCASTERS)
    with pytest.raises(msgspec.ValidationError, match=r"named\.v1 can't be upcast: KeyError"):
        codec.decode("named.v1", b'{"type":"named.v1"}')


def test_an_upcaster_does_not_set_the_type() -> None:
    """The next version follows from the tag, so filters need not call upcasters; `type` in a result is ignored."""
    codec = Codec([Named], upcasters={"named.v2": lambda document: {**from_v2(document), "type": "named.v2"}})
    assert codec.decode("named.v2", b'{"type":"named.v2","first":"Ada","surname":"Lovelace"}') == Named(
        "Ada", "Lovelace"
    )


def test_filters_accept_all_versions_of_their_types() -> None:
    """Every version that is upcast to one of them, and no other type."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert codec.stored_tags(["named.v3"]) == {"named.v1", "named.v2", "named.v3"}
    assert codec.stored_tags(["counted.v1"]) == {"counted.v1"}
    assert codec.stored_tags(["named.v1"]) == frozenset(), "nothing is of a version that is upcast"


def test_filters_raise_for_a_later_version_of_their_types() -> None:
    """A filter of other types skips it."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert not codec.wanted(["counted.v1"])("named.v4")
    assert not codec.wanted(["counted.v1"])("other.v1")
    with pytest.raises(UnknownEventType, match=r"counted\.v2"):
        codec.wanted(["counted.v1"])("counted.v2")


def test_current_upcasts_an_event_written_in_an_older_version() -> None:
    """States fold it as it will be read: the release that can read a version precedes the one that writes it."""

    class Old(Event, frozen=True, tag="named.v2"):
        first: str
        surname: str

    codec = Codec([Old, Named, Counted], upcasters=UPCASTERS)
    assert codec.current(Old("Ada", "Lovelace")) == Named("Ada", "Lovelace")
    assert codec.current(Counted(2)) == Counted(2)


def test_unknown_fields_are_ignored() -> None:
    """During a rolling update, the older release reads events of the newer one."""
    assert Codec([Counted]).decode("counted.v1", b'{"type":"counted.v1","by":2,"colour":"blue"}') == Counted(2)


def test_unknown_types_are_rejected() -> None:
    """When encoding and when decoding: only types in the service's contracts are accepted."""
    codec = Codec([Counted])
    with pytest.raises(UnknownEventType, match=r"named\.v3"):
        codec.encode(Named("Ada", "Lovelace"))
    with pytest.raises(UnknownEventType, match=r"other\.v1"):
        codec.decode("other.v1", b"{}")


@pytest.mark.parametrize("data", [b"", b"{", b'{"type":"counted.v1"}', b'{"type":"counted.v1","by":"two"}', b"\xff"])
def test_damaged_bytes_are_rejected(data: bytes) -> None:
    """The error says where the damage is."""
    with pytest.raises(msgspec.DecodeError):
        Codec([Counted]).decode("counted.v1", data)


def counted(size: int) -> Counted:
    """An event whose JSON has this number of bytes."""
    return Counted(1, "x" * (size - len(Codec([Counted]).encode(Counted(1, ""))[1])))


def test_events_are_bounded_in_bytes() -> None:
    """In encoded bytes: a character may take four."""
    codec = Codec([Counted])
    assert len(codec.encode(counted(MAX_EVENT))[1]) == MAX_EVENT
    for event in (counted(MAX_EVENT + 1), Counted(1, "\U0001f411" * (MAX_EVENT // 4))):
        with pytest.raises(Problem, match=r"the event counted\.v1 would have .* bytes; at most 1,040,384") as refused:
            codec.encode(event)
        assert refused.value.code == "PAYLOAD_TOO_LARGE"


def test_larger_stored_events_are_decoded() -> None:
    """Only encoding is bounded."""
    data = b'{"type":"counted.v1","by":1,"note":"%b"}' % (b"x" * MAX_EVENT)
    assert Codec([Counted]).decode("counted.v1", data).note == "x" * MAX_EVENT  # type: ignore[attr-defined]  # of Counted


def test_the_aggregate_follows_from_the_tag() -> None:
    """For every version, even of a newer release: the relay publishes events without decoding them."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert codec.aggregate("named.v1") == codec.aggregate("named.v3") == codec.aggregate("named.v4") == ""
    with pytest.raises(UnknownEventType):
        codec.aggregate("called.v1")


def test_event_type_accepts_classes_and_events() -> None:
    assert event_type(Counted) == event_type(Counted(1)) == "counted.v1"


def test_decoders_exist_for_every_version_of_the_wanted_types() -> None:
    """Those of other types are None, and unknown tags are missing."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    of_types, every = codec.decoders(frozenset({"named.v3"})), codec.decoders(None)
    assert of_types.keys() == every.keys() == {"named.v1", "named.v2", "named.v3", "counted.v1"}
    assert of_types["counted.v1"] is None
    for decoders in (of_types, every):
        decode = decoders["named.v1"]
        assert decode is not None
        assert decode(b'{"type":"named.v1","name":"Ada King"}') == Named("Ada", "King")
    assert codec.decoders(frozenset({"named.v3"})) is of_types, "made once"
