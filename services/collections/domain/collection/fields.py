"""The publishing fields of a collection, and the checks of their values.

They are listed again in `FieldChanges`, whose members may also be UNSET or null, and in the event `CollectionCreated`
and the read table, whose members have another order that is stored. A field that one of them lacks is a TypeError or an
AttributeError when a collection is created.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from services.collections.domain.chains import CHAINS
from services.collections.domain.collection import presentation
from services.collections.domain.links import url_faults
from services.collections.domain.text import json_faults, text_faults
from shared.contracts import sizes
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import encoded_size

MAX_TITLE = 200
MAX_DESCRIPTION = 20_000
MAX_IMAGES = 1_000
MAX_EDITIONS = 1_000_000_000
MAX_PRICE = Decimal(10) ** 12
MAX_DECIMALS = 18
"""Of a price: the smallest unit of ETHEREUM and BASE is 10^-18. That of TEZOS, 10^-6, is checked by publishing."""


class FieldChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Publishing fields as a client sends them. UNSET leaves a field unchanged; None resets it to its default."""

    title: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    blockchain: str | UnsetType | None = UNSET
    editions: int | UnsetType | None = UNSET
    price: Decimal | UnsetType | None = UNSET
    batch_mint_enabled: bool | UnsetType | None = UNSET
    batch_max_tokens: int | UnsetType | None = UNSET
    encryption_enabled: bool | UnsetType | None = UNSET
    cover_image_url: str | UnsetType | None = UNSET
    images: list[Any] | UnsetType | None = UNSET
    symbol: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET
    rights: str | UnsetType | None = UNSET
    license: str | UnsetType | None = UNSET
    license_url: str | UnsetType | None = UNSET
    minter: str | UnsetType | None = UNSET
    banner_image_url: str | UnsetType | None = UNSET
    cover_token: int | UnsetType | None = UNSET


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """The publishing fields in a collection's state."""

    title: str = "Untitled"
    description: str = ""
    blockchain: str | None = None
    editions: int | None = None
    price: str | None = None
    batch_mint_enabled: bool = False
    batch_max_tokens: int | None = None
    encryption_enabled: bool = False
    cover_image_url: str | None = None
    images: list[Any] = msgspec.field(default_factory=list)
    symbol: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    rights: str | None = None
    license: str | None = None
    license_url: str | None = None
    minter: str | None = None
    banner_image_url: str | None = None
    cover_token: int | None = None


def with_changes(before: Fields, changes: FieldChanges) -> Fields:
    """The fields after a change. Raises VALIDATION_FAILED with the pointer of every fault."""
    present = {name: value for name in Fields.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    faults = [fault for name, value in present.items() for fault in _faults(name, value)]
    if not faults:
        defaults = Fields()
        values = {
            name: getattr(defaults, name) if value is None else _in_state(value) for name, value in present.items()
        }
        after = msgspec.structs.replace(before, **values)
        faults = list(_joint_faults(after))
        if not faults:
            return after
    raise invalid(faults[0].message, *faults)


def decimal_text(value: Decimal) -> str:
    """An exact decimal in canonical form: without exponent, leading or trailing zeros.

    Expands the exponent into digits, so bound it with `decimals` first.
    """
    text = format(value, "f") if value else "0"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def decimals(value: Decimal) -> int:
    """The number of decimals without trailing zeros, of a finite number below 10^28; 29 for 29 and more.

    Computed from the exponent: `1e-999999999`, a short token, has a gigabyte of digits.
    """
    if not value:
        return 0
    exponent = int(value.as_tuple().exponent)
    digits = value.as_tuple().digits
    zeros = next(count for count, digit in enumerate(reversed(digits)) if digit)
    return min(max(0, -exponent - zeros), 29)


def _in_state(value: Any) -> Any:
    return decimal_text(value) if isinstance(value, Decimal) else value


def _title(value: str, pointer: str) -> Iterable[Detail]:
    return text_faults(value, pointer, "the title", MAX_TITLE)


def _description(value: str, pointer: str) -> Iterable[Detail]:
    return text_faults(value, pointer, "the description", MAX_DESCRIPTION)


def _blockchain(value: str, pointer: str) -> Iterable[Detail]:
    if value not in CHAINS:
        yield Detail(pointer, f"the blockchain is one of {', '.join(CHAINS)}")


def _quantity(value: int, pointer: str) -> Iterable[Detail]:
    if not 1 <= value <= MAX_EDITIONS:
        yield Detail(pointer, f"{pointer.removeprefix('/')} is a whole number from 1 to {MAX_EDITIONS}")


def _images(value: list[Any], pointer: str) -> Iterable[Detail]:
    if len(value) > MAX_IMAGES:
        yield Detail(pointer, f"a collection has at most {MAX_IMAGES} images")
    elif (size := encoded_size(value)) > sizes.MAX_IMAGES:
        yield Detail(pointer, f"the images take {size} bytes as JSON, more than {sizes.MAX_IMAGES}")
    yield from json_faults(value, pointer)
    for index, image in enumerate(value[:MAX_IMAGES]):
        if isinstance(image, dict) and isinstance(image.get("url"), str):
            yield from url_faults(image["url"], f"{pointer}/{index}/url")


def _price(price: Decimal, pointer: str) -> Iterable[Detail]:
    if not price.is_finite() or not 0 <= price < MAX_PRICE:
        yield Detail(pointer, f"the price is a decimal from 0 up to {MAX_PRICE}")
    elif decimals(price) > MAX_DECIMALS:
        yield Detail(pointer, f"the price has at most {MAX_DECIMALS} decimals")


def _joint_faults(fields: Fields) -> Iterator[Detail]:
    batch, editions = fields.batch_max_tokens, fields.editions
    if batch is not None and editions is not None and batch > editions:
        message = f"a batch of {batch} tokens is more than the collection's {editions} editions"
        yield Detail("/batch_max_tokens", message)
    if fields.cover_image_url is not None and fields.cover_token is not None:
        yield Detail("/cover_token", "a collection has one cover: set either cover_image_url or cover_token to null")
    if fields.license_url is not None and fields.license is None:
        yield Detail("/license_url", "is of a license: name it in license, such as CC-BY-4.0")


def _faults(name: str, value: Any) -> Iterable[Detail]:
    rule = _RULES.get(name)
    return () if rule is None or value is None else rule(value, f"/{name}")


_RULES: dict[str, Callable[[Any, str], Iterable[Detail]]] = {
    "title": _title,
    "description": _description,
    "blockchain": _blockchain,
    "editions": _quantity,
    "price": _price,
    "batch_max_tokens": _quantity,
    "cover_image_url": url_faults,
    "images": _images,
    **presentation.RULES,
}
"""Checks per field beyond its type. Flags need none."""
