"""The checks of the fields that say how a collection is presented: its symbol, tags, rights, license, minter, cover."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from services.collections.domain.addresses import checked_address
from services.collections.domain.links import url_faults
from services.collections.domain.text import line_faults
from shared.contracts.problem import Detail

MAX_SYMBOL = 16
MAX_TAGS = 30
MAX_TAG = 50
MAX_RIGHTS = 2_000
MAX_LICENSE = 200
MAX_TOKEN = 1_000_000_000


def _symbol(value: str, pointer: str) -> Iterable[Detail]:
    if not 1 <= len(value) <= MAX_SYMBOL or not value.isprintable() or any(letter.isspace() for letter in value):
        yield Detail(pointer, f"the symbol has 1 to {MAX_SYMBOL} printable characters and no spaces, such as TIDES")


def _tags(value: list[str], pointer: str) -> Iterator[Detail]:
    if len(value) > MAX_TAGS:
        yield Detail(pointer, f"a collection has at most {MAX_TAGS} tags; there are {len(value)}")
        return
    for index, tag in enumerate(value):
        where = f"{pointer}/{index}"
        if tag != tag.strip():
            yield Detail(where, "a tag has no spaces around it")
        elif tag in value[:index]:
            yield Detail(where, "this tag is there already")
        else:
            yield from line_faults(tag, where, "a tag", MAX_TAG)


def _rights(value: str, pointer: str) -> Iterable[Detail]:
    return line_faults(value, pointer, "the statement of rights", MAX_RIGHTS)


def _license(value: str, pointer: str) -> Iterable[Detail]:
    return line_faults(value, pointer, "the license", MAX_LICENSE)


def _minter(value: str, pointer: str) -> Iterator[Detail]:
    try:
        checked_address(value, "TEZOS")
    except ValueError as error:
        yield Detail(pointer, f"the minter is an address on Tezos, where metadata names it: {error}")


def _cover_token(value: int, pointer: str) -> Iterator[Detail]:
    if not 1 <= value <= MAX_TOKEN:
        yield Detail(pointer, "the cover is the image of a token, by its number from 1")


RULES: Mapping[str, Callable[[Any, str], Iterable[Detail]]] = {
    "symbol": _symbol,
    "tags": _tags,
    "rights": _rights,
    "license": _license,
    "license_url": url_faults,
    "minter": _minter,
    "banner_image_url": url_faults,
    "cover_token": _cover_token,
}
"""By field: the faults of a value that has the field's type."""
