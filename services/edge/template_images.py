"""The images from the web that the overrides of a template name, and what is wrong with them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, invalid
from shared.contracts.web_images import FETCH, web_images

OVERRIDES = "overrides"
MAX_IMAGES = 16
"""Images that one request may name, each counted once however often it is named."""
OF_DATA = ("data.", "data[")
"""How the paths of values of the instructions begin; other overrides are fields, whose images everybody reads."""


class WebImage(NamedTuple):
    """`pointer`: the JSON pointer of the URL in the request."""

    pointer: str
    url: str


class Overrides(NamedTuple):
    """The overrides of a request, and all images in them."""

    values: dict[str, Any]
    images: list[WebImage]


def may_name_images(encoded: bytes) -> bool:
    """Whether JSON may have the member `$fetch`, of which any character may be escaped. Quick, for any request."""
    return FETCH.encode() in encoded or b"\\u" in encoded


def overrides_with_images(encoded: msgspec.Raw) -> Overrides | None:
    """The overrides and their images; None if there are no images, or no overrides.

    Raises VALIDATION_FAILED with the pointer of each `$fetch` that is no image's, or has no place there.
    """
    overrides = msgspec.json.decode(encoded)
    if not isinstance(overrides, dict) or next(web_images(overrides), None) is None:
        return None
    if faults := list(_faults(overrides)):
        raise invalid(f"The overrides are not valid at {faults[0].pointer}: {faults[0].message}", *faults)
    images = [
        WebImage(str(place.child(FETCH)), image[FETCH])
        for path, value in overrides.items()
        for place, image in web_images(value, _pointer(path))
    ]
    if (count := len({image.url for image in images})) > MAX_IMAGES:
        message = f"name {count} images to fetch, more than {MAX_IMAGES}"
        raise invalid(f"The overrides {message}", Detail(f"/{OVERRIDES}", message))
    return Overrides(overrides, images)


def _faults(overrides: Mapping[str, Any]) -> Iterator[Detail]:
    for path, value in overrides.items():
        for place, image in web_images(value, _pointer(path)):
            if not path.startswith(OF_DATA):
                message = (
                    "is only for values of data: everybody can read a collection's fields, but only you and the "
                    "collection's jobs can read the stored image"
                )
                yield Detail(str(place.child(FETCH)), message)
            elif not isinstance(image[FETCH], str):
                yield Detail(str(place.child(FETCH)), "must be the http or https URL of an image")
            else:
                others = (name for name in image if name != FETCH)
                yield from (Detail(str(place.child(name)), f"can't stand beside {FETCH}") for name in others)


def _pointer(path: str) -> str:
    return f"/{OVERRIDES}/{escape_token(path)}"
