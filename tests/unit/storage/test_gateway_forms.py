"""What requests to the gateway ask for, by its query parameters and the header Accept."""

import pytest

from services.storage.gateway.car_stream import EMPTY_CAR
from services.storage.gateway.gateway import PROBE, parsed_cid
from services.storage.gateway.request_form import CarForm, CarOptions, EntityBytes, form_of
from shared.contracts.problem import Problem

CAR = "application/vnd.ipld.car"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "file"),
        ("*/*", "file"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "file"),
        ("application/json", "file"),
        ("application/vnd.ipld.raw", "raw"),
        ("application/vnd.ipld.raw;q=0.5, */*;q=0.1", "raw"),
        ("application/vnd.ipld.raw;q=0, */*", "file"),
        (CAR, CarForm()),
        (f"{CAR}; version=1; order=dfs; dups=y", CarForm(dups=True)),
        (f'{CAR};order=unk;dups="n"', CarForm()),
        (f"{CAR};order=foo, {CAR};order=dfs;dups=y;q=0.5", CarForm(dups=True)),
        (f"{CAR};version=2, application/vnd.ipld.raw;q=0.2", "raw"),
        ("application/vnd.ipfs.ipns-record, */*;q=0.1", "file"),
    ],
)
def test_accept(accept: str, form: object):
    assert form_of(None, accept, CarOptions()) == form


@pytest.mark.parametrize("accept", [f"{CAR};version=2", f"{CAR};dups=maybe", "application/vnd.ipfs.ipns-record"])
def test_what_there_is_not_is_not_acceptable(accept: str):
    with pytest.raises(Problem) as refusal:
        form_of(None, accept, CarOptions())
    assert (refusal.value.code, refusal.value.details[0].pointer) == ("NOT_ACCEPTABLE", "header:Accept")


def test_a_parameter_takes_precedence():
    assert form_of("raw", CAR, CarOptions()) == "raw"
    assert form_of("car", "application/vnd.ipld.raw", CarOptions()) == CarForm()
    assert form_of("car", f"{CAR};dups=y", CarOptions()) == CarForm(dups=True)
    assert form_of("car", f"{CAR};dups=y", CarOptions(dups="n")) == CarForm()
    assert form_of("car", "", CarOptions(scope="block")) == CarForm(scope="block")
    assert form_of("car", "", CarOptions(entity_bytes="0:*")) == CarForm(
        scope="entity", entity_bytes=EntityBytes(0, None)
    )


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        (CarOptions(version="2"), "?car-version"),
        (CarOptions(order="bfs"), "?car-order"),
        (CarOptions(dups="x"), "?car-dups"),
        *((CarOptions(entity_bytes=text), "?entity-bytes") for text in ("", "0", "*:1", "1:x", "0:1:2", "+1:2", "٣:*")),
    ],
)
def test_parameters_that_are_wrong_are_refused_at_their_place(options: CarOptions, pointer: str):
    with pytest.raises(Problem) as refusal:
        form_of("car", "", options)
    assert (refusal.value.code, refusal.value.details[0].pointer) == ("VALIDATION_FAILED", pointer)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, None, (0, 999)),
        (0, 0, (0, 0)),
        (10, 5_000, (10, 999)),
        (-24, None, (976, 999)),
        (-5_000, None, (0, 999)),
        (499, -100, (499, 900)),
        (1_000, None, None),
        (5, 4, None),
        (0, -1_001, None),
    ],
)
def test_a_range_of_a_file(first: int, last: int | None, expected: tuple[int, int] | None):
    """Of 1,000 bytes."""
    assert EntityBytes(first, last).in_file(1_000) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKmXyc", "NOT_FOUND"),
        ("bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua", "NOT_FOUND"),
        (PROBE, "NOT_FOUND"),
        ("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52z1", "VALIDATION_FAILED"),
        ("BAFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY", "VALIDATION_FAILED"),
        ("x", "VALIDATION_FAILED"),
        ("b", "VALIDATION_FAILED"),
    ],
)
def test_cids_of_other_forms(text: str, code: str):
    """CIDs that no package can have are not there; what is no CID is a mistake of the client."""
    with pytest.raises(Problem) as refusal:
        parsed_cid(text)
    assert refusal.value.code == code


def test_the_empty_car_file_names_the_identity_cid():
    """As the specification of CAR files writes a header: a length, and then dag-cbor."""
    assert EMPTY_CAR[0] == len(EMPTY_CAR) - 1
    assert b"\xd8\x2a\x45\x00" + bytes([1, 0x55, 0, 0]) in EMPTY_CAR
