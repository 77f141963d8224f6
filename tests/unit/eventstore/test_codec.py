"""Events to stored bytes and back, through every version that was ever stored."""

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


def test_the_bytes_are_plain_tagged_json() -> None:
    """What is stored is what is published: one JSON object that names its type."""
    tag, data = Codec([Counted]).encode(Counted(2, "sheep"))
    assert tag == "counted.v1"
    assert data == b'{"type":"counted.v1","by":2,"note":"sheep"}'


@given(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_every_event_comes_back(by: int, note: str | None) -> None:
    """Whatever its fields hold."""
    codec = Codec([Counted])
    assert codec.decode(*codec.encode(Counted(by, note))) == Counted(by, note)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\\\0", "\\\\\0", '"\0'])
def test_nul_is_refused(text: str) -> None:
    """PostgreSQL's text and jsonb can't hold it: recorded once, it would stop the read tables for ever."""
    with pytest.raises(Problem) as refused:
        Codec([Counted]).encode(Counted(1, text))
    assert refused.value.code == "VALIDATION_FAILED"


@pytest.mark.parametrize("text", ["\\u0000", "u0000", "\\\\u0000", "\x01", "\\\\\\u0000"])
def test_what_only_looks_like_nul_is_kept(text: str) -> None:
    """A backslash and some letters are a text like any other."""
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
    """Step by step, from whichever version they are of, to the newest."""
    codec = Codec([Named], upcasters=UPCASTERS)
    assert codec.decode(tag, json.dumps(document).encode()) == Named("Ada", "Lovelace")


def test_an_upcaster_may_change_a_version_that_is_still_there() -> None:
    """A type with an upcaster is always upcast, also while its old class is kept for writing."""

    class Old(Event, frozen=True, tag="named.v2"):
        first: str
        surname: str

    codec = Codec([Old, Named], upcasters=UPCASTERS)
    assert codec.decode(*codec.encode(Old("Ada", "Lovelace"))) == Named("Ada", "Lovelace")


def test_an_upcaster_that_leads_nowhere() -> None:
    """Is refused when the service starts, not when the first old event is read."""
    with pytest.raises(ValueError, match=r"named\.v1 is upcast to named\.v3"):
        Codec([Counted], upcasters=UPCASTERS)


def test_an_upcaster_that_breaks() -> None:
    """Is as if the bytes were damaged: the event is told, and can be parked."""
    codec = Codec([Named], upcasters=UPCASTERS)
    with pytest.raises(msgspec.ValidationError, match=r"named\.v1 can't be upcast: KeyError"):
        codec.decode("named.v1", b'{"type":"named.v1"}')


def test_an_upcaster_can_t_lead_elsewhere() -> None:
    """Which version comes next is known without calling it, and so are filters; what it says of the type is ignored."""
    codec = Codec([Named], upcasters={"named.v2": lambda document: {**from_v2(document), "type": "named.v2"}})
    assert codec.decode("named.v2", b'{"type":"named.v2","first":"Ada","surname":"Lovelace"}') == Named(
        "Ada", "Lovelace"
    )


def test_filters_name_todays_types_and_find_older_ones() -> None:
    """Every version that becomes one of them, and no other type."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert codec.stored_tags(["named.v3"]) == {"named.v1", "named.v2", "named.v3"}
    assert codec.stored_tags(["counted.v1"]) == {"counted.v1"}
    assert codec.stored_tags(["named.v1"]) == frozenset(), "nothing is of a version that is upcast"


def test_a_later_version_than_this_release_knows_is_not_passed_over() -> None:
    """By those who want such events; to others it is nothing."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert not codec.wanted(["counted.v1"])("named.v4")
    assert not codec.wanted(["counted.v1"])("other.v1")
    with pytest.raises(UnknownEventType, match=r"counted\.v2"):
        codec.wanted(["counted.v1"])("counted.v2")


def test_an_event_that_is_still_written_in_an_older_version() -> None:
    """Is folded as it will be read: a release that knows the new version comes before one that writes it."""

    class Old(Event, frozen=True, tag="named.v2"):
        first: str
        surname: str

    codec = Codec([Old, Named, Counted], upcasters=UPCASTERS)
    assert codec.current(Old("Ada", "Lovelace")) == Named("Ada", "Lovelace")
    assert codec.current(Counted(2)) == Counted(2)


def test_fields_of_a_newer_writer_are_passed_over() -> None:
    """During a rolling update the old version reads what the new one adds."""
    assert Codec([Counted]).decode("counted.v1", b'{"type":"counted.v1","by":2,"colour":"blue"}') == Counted(2)


def test_unknown_types_are_refused() -> None:
    """Both ways: nothing is recorded or read that the service's contracts don't list."""
    codec = Codec([Counted])
    with pytest.raises(UnknownEventType, match=r"named\.v3"):
        codec.encode(Named("Ada", "Lovelace"))
    with pytest.raises(UnknownEventType, match=r"other\.v1"):
        codec.decode("other.v1", b"{}")


@pytest.mark.parametrize("data", [b"", b"{", b'{"type":"counted.v1"}', b'{"type":"counted.v1","by":"two"}', b"\xff"])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    """With an error that says where."""
    with pytest.raises(msgspec.DecodeError):
        Codec([Counted]).decode("counted.v1", data)


def counted(size: int) -> Counted:
    """An event of so many bytes."""
    return Counted(1, "x" * (size - len(Codec([Counted]).encode(Counted(1, ""))[1])))


def test_an_event_has_so_many_bytes_at_most() -> None:
    """Bytes as encoded: a letter may take four."""
    codec = Codec([Counted])
    assert len(codec.encode(counted(MAX_EVENT))[1]) == MAX_EVENT
    for event in (counted(MAX_EVENT + 1), Counted(1, "\U0001f411" * (MAX_EVENT // 4))):
        with pytest.raises(Problem, match=r"the event counted\.v1 would have .* bytes; at most 1,040,384") as refused:
            codec.encode(event)
        assert refused.value.code == "PAYLOAD_TOO_LARGE"


def test_what_was_stored_larger_is_still_read() -> None:
    """The bound is for what is recorded from now on."""
    data = b'{"type":"counted.v1","by":1,"note":"%b"}' % (b"x" * MAX_EVENT)
    assert Codec([Counted]).decode("counted.v1", data).note == "x" * MAX_EVENT  # type: ignore[attr-defined]


def test_the_aggregate_is_known_without_decoding() -> None:
    """Of every version, a newer release's too: what is published need not be understood."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    assert codec.aggregate("named.v1") == codec.aggregate("named.v3") == codec.aggregate("named.v4") == ""
    with pytest.raises(UnknownEventType):
        codec.aggregate("called.v1")


def test_the_tag_is_the_type() -> None:
    """Of a class as of its events."""
    assert event_type(Counted) == event_type(Counted(1)) == "counted.v1"


def test_decoders_of_stored_tags() -> None:
    """Every version of the wanted types has one, other types have none, and unknown tags are not there."""
    codec = Codec([Named, Counted], upcasters=UPCASTERS)
    wanted, every = codec.decoders(frozenset({"named.v3"})), codec.decoders(None)
    assert wanted.keys() == every.keys() == {"named.v1", "named.v2", "named.v3", "counted.v1"}
    assert wanted["counted.v1"] is None
    for decoders in (wanted, every):
        decode = decoders["named.v1"]
        assert decode is not None
        assert decode(b'{"type":"named.v1","name":"Ada King"}') == Named("Ada", "King")
    assert codec.decoders(frozenset({"named.v3"})) is wanted, "made once"
