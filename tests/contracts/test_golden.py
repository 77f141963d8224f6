"""What was ever stored or sent is read today as what it said, and written today as it was written then."""

import pytest
from msgspec import Struct
from msgspec.json import decode, encode

from shared.contracts.event import Event
from tests.contracts import golden
from tests.contracts.catalogue import Contract, codec_of, contracts, owners
from tests.contracts.independent import read
from tests.contracts.record import RECORD, upcast_types

EXAMPLES = [
    pytest.param(contract, data, id=f"{contract} {label}")
    for contract in contracts()
    for label, data in golden.read(contract.owner, contract.name).items()
    if not label.endswith(golden.UPCAST)
]


def decoded(contract: Contract, data: bytes) -> Struct:
    """As the owner of an event reads its store, or as a message's receiver does."""
    if issubclass(contract.type, Event):
        return codec_of(contract.owner).decode(contract.name, data)
    return decode(data, type=contract.type)


@pytest.mark.parametrize("contract", contracts(), ids=str)
def test_every_contract_has_golden_bytes(contract: Contract) -> None:
    """One example with as little as there can be in it, and for each of its fields one that has a value there."""
    examples = golden.read(contract.owner, contract.name)
    assert {"minimal", "full"} <= examples.keys(), f"{contract} has no golden bytes. {RECORD}"
    unseen = golden.unseen_fields(contract, examples)
    assert not unseen, f"no golden bytes of {contract} have a value for {', '.join(unseen)}. {RECORD}"


@pytest.mark.parametrize(("contract", "data"), EXAMPLES)
def test_golden_bytes_are_read_as_what_they_say(contract: Contract, data: bytes) -> None:
    """A second reader, on another JSON library, comes to the same object."""
    assert decoded(contract, data) == read(contract.type, data)


@pytest.mark.parametrize(("contract", "data"), EXAMPLES)
def test_what_was_read_is_written_as_it_was(contract: Contract, data: bytes) -> None:
    """To the byte, but for fields that the type has been given since: history passes through today's code unchanged."""
    assert golden.without_added_fields(encode(decoded(contract, data)), data) == data


@pytest.mark.parametrize(("contract", "data"), EXAMPLES)
def test_fields_of_a_newer_writer_are_passed_over(contract: Contract, data: bytes) -> None:
    """In the object itself and in every one inside it: a field can be added while readers of yesterday run."""
    assert decoded(contract, golden.with_unknown_fields(data, contract.type)) == decoded(contract, data)


@pytest.mark.parametrize("owner", owners())
def test_types_that_are_no_longer_written_are_still_read(owner: str) -> None:
    """A golden file is never removed: its type is in EVENTS, or upcast to one that is."""
    today = {contract.name for contract in contracts() if contract.owner == owner}
    unreadable = set(golden.recorded(owner)) - today - upcast_types(owner)
    assert not unreadable, (
        f"{owner} can't read {sorted(unreadable)} any more: give UPCASTERS one from it, or the type back"
    )


@pytest.mark.parametrize("owner", owners())
def test_an_upcaster_makes_for_ever_what_it_made_first(owner: str) -> None:
    """What became of a retired type's bytes was recorded when it was retired."""
    for name in upcast_types(owner):
        examples, codec = golden.read(owner, name), codec_of(owner)
        assert not golden.missing_upcasts(codec, name, examples), f"what {owner}/{name} is upcast to is new. {RECORD}"
        assert not golden.changed_upcasts(codec, name, examples), (
            f"{owner}/{name} is upcast to something else than before"
        )


@pytest.mark.parametrize("owner", owners())
def test_golden_files_hold_exact_bytes(owner: str) -> None:
    """An example a line, nothing reformatted: a file that an editor has tidied up is no evidence."""
    for name in golden.recorded(owner):
        lines = golden.path_of(owner, name).read_bytes().splitlines()
        assert (lines[0], lines[-1]) == (b"{", b"}"), f"{owner}/{name}"
        entries = dict(line.removesuffix(b",").split(b": ", 1) for line in lines[1:-1])
        assert entries == {encode(label): data for label, data in golden.read(owner, name).items()}, f"{owner}/{name}"
