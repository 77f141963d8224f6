"""A package is verified to its last byte, and the first thing that differs is named."""

import hashlib
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content import car
from shared.content.cid import DAG_PB, Cid
from shared.content.difference import Difference
from shared.content.files import cid_of
from shared.content.package import MANIFEST, canonical, plan, provenance
from shared.content.tree import File, folder, steps
from shared.content.verification import Verified, verify
from tests.support.examples import examples
from tests.unit.content.contents import MIB, content
from tests.unit.content.package_file import (
    COLLECTION,
    JOB,
    car_file,
    contents,
    early_contents,
    packaged,
    repackaged,
)

ARTWORKS = [content(40, 1), content(0, 1), content(333, 2), content(40, 1)]
SMALL = car_file(ARTWORKS)
LARGE = car_file([content(2 * MIB + 5, 1), content(MIB, 1), content(50, 7)])


def check(data: bytes) -> Verified:
    return verify(io.BytesIO(data), len(data))


def first_difference(data: bytes) -> Difference:
    with pytest.raises(Difference) as refusal:
        check(data)
    return refusal.value


def test_a_package_tells_what_it_holds() -> None:
    verified = check(SMALL)
    planned = plan(contents(ARTWORKS))
    assert verified.root == str(planned.root.cid)
    assert (verified.collection_id, verified.job_id) == (str(COLLECTION), str(JOB))
    assert (verified.files, verified.artworks) == (4 + 3 + 12 + 1, 4)
    assert verified.provenance == planned.provenance
    assert verified.size == len(SMALL)


def test_a_chunk_that_is_shared_by_files_stands_there_once() -> None:
    """The second artwork is the first one's first chunk."""
    assert check(LARGE).files == 3 + 3 + 9 + 1
    assert len(LARGE) < 2 * MIB + 20_000


@given(
    sizes=st.lists(st.sampled_from([0, 1, 255, MIB - 1, MIB, MIB + 1]) | st.integers(0, 3000), min_size=1, max_size=6)
)
@examples(25)
def test_the_same_input_gives_the_same_bytes_and_they_verify(sizes: list[int]) -> None:
    artworks = [content(size, seed) for seed, size in enumerate(sizes)]
    first, again = car_file(artworks), car_file(artworks)
    assert first == again
    assert check(first).artworks == len(sizes)


def test_a_package_of_thousands_is_verified_in_its_sharded_directories() -> None:
    """Each directory is a HAMT then, and what is wrong in it has its path all the same."""
    artworks = [content(number % 50, number % 256) for number in range(1, 5001)]
    whole = car_file(artworks)
    assert check(whole).artworks == 5000
    at = whole.index(b'"name":"Tides #4321"')
    difference = first_difference(whole[:at] + b"'" + whole[at + 1 :])
    assert difference.path == "metadata/base/4321.json"


def test_directories_without_end_are_given_up() -> None:
    root = folder({"a/" * 40 + "b": File(cid_of(b"x"), 1)})
    blocks = b"".join(car.frame(step.cid, len(step.block)) + step.block for step in steps(root) if step.block)
    assert "levels deep" in first_difference(car.header(root.cid) + blocks).message


@given(at=st.integers(0, len(SMALL) - 1), bit=st.integers(0, 7))
@examples(400)
def test_no_byte_can_be_another_one(at: int, bit: int) -> None:
    tampered = bytearray(SMALL)
    tampered[at] ^= 1 << bit
    assert first_difference(bytes(tampered)).offset <= at


@given(length=st.integers(0, len(SMALL) - 1))
@examples(200)
def test_a_file_that_was_cut_off_says_so(length: int) -> None:
    difference = first_difference(SMALL[:length])
    assert re.search("empty|ends|truncated", difference.message), difference.message


@pytest.mark.parametrize("place", [0.2, 0.4, 0.9])
def test_the_path_and_the_place_of_the_first_difference_are_named(place: float) -> None:
    """Also in a file of several chunks, and when more is wrong behind it."""
    at = int(2 * MIB * place)
    tampered = bytearray(LARGE)
    tampered[at] ^= 0x40
    tampered[-1] ^= 1
    difference = first_difference(bytes(tampered))
    assert difference.path == "artworks/1.bin"
    assert difference.offset <= at < difference.offset + MIB + 100


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "does not begin with the header of a CAR file"),
        (b"PK\x03\x04" + bytes(100), "does not begin with the header of a CAR file"),
        (SMALL[:30], "ends within its header"),
        (SMALL + b"\0", "1 bytes follow"),
        (SMALL[: car.HEADER_LENGTH], "cut off"),
    ],
)
def test_what_is_no_whole_package_is_told_in_words(data: bytes, words: str) -> None:
    assert words in first_difference(data).message


def rewritten(change: Any) -> bytes:
    """A package with another manifest, in a CAR file that is sound in itself."""
    package = contents(ARTWORKS)
    files = {item.path: ARTWORKS[item.token - 1] for item in package.artworks}
    return repackaged(package, files, change)


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (lambda document: document["artworks"][2].update(size=334), "artworks/3.bin", "says size 334, but it is 333"),
        (lambda document: document["metadata"].pop(4), "metadata/base/collection.json", "does not list it"),
        (lambda document: document["artworks"][1].update(path="artworks/x.bin"), "artworks/2.bin", "does not list it"),
        (lambda document: document["provenance"].update(hash="0" * 64), MANIFEST, "/provenance should be"),
        (lambda document: document["artworks"].reverse(), MANIFEST, "not numbered 1, 2, 3"),
        (lambda document: document["profile"].update(chunk_size=262144), MANIFEST, "/profile should be"),
        (lambda document: document.pop("job_id"), MANIFEST, "not of the format"),
        (
            lambda document: document["artworks"].append(document["artworks"][0] | {"token": 5}),
            "artworks/1.bin",
            "twice",
        ),
    ],
)
def test_a_manifest_that_does_not_say_what_is_there_is_found(change: Any, path: str, words: str) -> None:
    """Though every block in the file is what its CID names."""
    difference = first_difference(rewritten(change))
    assert (difference.path, words in difference.message) == (path, True), difference.message


def test_a_file_that_is_not_cut_as_the_profile_says_is_found() -> None:
    """The same bytes under another CID are another package."""
    planned = plan(contents(ARTWORKS))
    empty = car.header(Cid.of(DAG_PB, b"\x0a\x02\x08\x02")) + car.frame(Cid.of(DAG_PB, b"\x0a\x02\x08\x02"), 4)
    assert "file" in first_difference(empty + b"\x0a\x02\x08\x02").message
    assert planned.provenance == provenance(packaged(1, artwork).sha256 for artwork in ARTWORKS)


def test_the_packages_bytes_are_the_same_for_ever() -> None:
    """Golden: every later version makes the same package from the same input."""
    planned = plan(early_contents(ARTWORKS))
    assert str(planned.root.cid) == "bafybeibsmueufzyujucplblqob3r6evzvd2rpj7jci7eptrsh2j5eo3qg4"
    assert (
        hashlib.sha256(car_file(ARTWORKS, planned)).hexdigest()
        == "3ce806841ccfb1f7940beaf31d61a793a56ada9d6e3f546b2474e25f973fbe30"
    )


def test_canonical_json_keeps_numbers_and_sorts_by_code_points() -> None:
    """Unlike RFC 8785, which would change the bytes of packages: 1.0 to 1, no integer beyond 2^53, UTF-16 order."""
    document = {"b": 1.0, "a": 2**60, "\U0001f600": None, "\uff5e": [1e21, "é/\u001f"]}
    assert canonical(document).decode() == (
        '{"a":1152921504606846976,"b":1.0,"\uff5e":[1e21,"é/\\u001f"],"\U0001f600":null}'
    )
