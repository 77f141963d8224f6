"""The images that the overrides of a template name."""

from typing import Any

import msgspec
import pytest

from services.edge.template_images import MAX_IMAGES, WebImage, may_name_images, overrides_with_images
from shared.contracts.problem import Problem
from shared.contracts.web_images import with_addresses


def read(overrides: Any) -> Any:
    return overrides_with_images(msgspec.Raw(msgspec.json.encode(overrides)))


def image(url: str) -> dict[str, str]:
    return {"$fetch": url}


def faults(overrides: Any) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as raised:
        read(overrides)
    assert raised.value.code == "VALIDATION_FAILED"
    return [(detail.pointer, detail.message) for detail in raised.value.details]


def test_each_image_has_its_pointer_and_gets_its_address() -> None:
    overrides = {"title": "x", "data.a/b[0]": image("u"), "data[c]": {"~": [image("v"), image("u")], "n": 1e22}}
    assert read(overrides) == (
        overrides,
        [
            WebImage("/overrides/data.a~1b[0]/$fetch", "u"),
            WebImage("/overrides/data[c]/~0/0/$fetch", "v"),
            WebImage("/overrides/data[c]/~0/1/$fetch", "u"),
        ],
    )
    assert with_addresses(overrides, {"u": "1", "v": "2"}) == {
        "title": "x",
        "data.a/b[0]": "1",
        "data[c]": {"~": ["2", "1"], "n": 1e22},
    }


@pytest.mark.parametrize("overrides", [{}, {"data.a": "$fetch"}, {"data.$fetch": [1]}, [], "$fetch", 5, None])
def test_without_images_there_is_nothing_to_fetch(overrides: Any) -> None:
    """A path is no value, and what is no object is refused by collections."""
    assert read(overrides) is None


def test_a_name_is_known_in_whichever_way_it_is_written() -> None:
    for encoded in (b'{"$fetch": 1}', b'{"\\u0024fetch": 1}', b'{"$\\u0066etch": 1}'):
        assert may_name_images(encoded)
    assert not may_name_images(b'{"fetch": "$", "a": "\\n"}')


def test_every_fault_is_told() -> None:
    refusals = faults({"title": image("u"), "data.a": image("u") | {"w": 1, "h": 2}, "data.b": [{"$fetch": None}]})
    assert [pointer for pointer, _ in refusals] == [
        "/overrides/title/$fetch",
        "/overrides/data.a/w",
        "/overrides/data.a/h",
        "/overrides/data.b/0/$fetch",
    ]


def test_so_many_images_are_one_request_however_often_each_is_named() -> None:
    most = [image(str(number)) for number in range(MAX_IMAGES)]
    assert len(read({"data.a": most, "data.b": most}).images) == 2 * MAX_IMAGES
    [(pointer, message)] = faults({"data.a": most, "data.b": image("one more")})
    assert (pointer, f"{MAX_IMAGES + 1} images" in message) == ("/overrides", True)
