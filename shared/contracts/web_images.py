"""Images from the web in a request: `{"$fetch": "https://…"}` stands for the address of the image, once it is stored.

The edge has storage fetch it, and sends the address on. No service takes such an object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.contracts.pointers import JsonPointer, values

FETCH = "$fetch"
"""The member that says which image is fetched; an object with it has no other member."""


def web_images(document: Any, root: str = "") -> Iterator[tuple[JsonPointer, dict[str, Any]]]:
    """The pointer of every object in `document` that has the member `$fetch`, and that object, in document order."""
    for pointer, value in values(document, root):
        if isinstance(value, dict) and FETCH in value:
            yield pointer, value


def with_addresses(document: Any, addresses: Mapping[str, str]) -> Any:
    """The document with the address of each image in its object's place.

    Recursive: `document` nests as a request's body at most. Raises KeyError for a URL without an address.
    """
    match document:
        case {"$fetch": str(url)}:
            return addresses[url]
        case dict():
            return {name: with_addresses(value, addresses) for name, value in document.items()}
        case list():
            return [with_addresses(value, addresses) for value in document]
    return document
