"""What a request to the gateway asks for: a file, a raw block, or a CAR file and of which form.

The Trustless Gateway specification: https://specs.ipfs.tech/http-gateways/trustless-gateway/. A query parameter takes
precedence over the header Accept.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from services.storage.domain.ranges import ByteRange
from shared.contracts.problem import Detail, Problem, invalid

RAW_TYPE, CAR_TYPE = "application/vnd.ipld.raw", "application/vnd.ipld.car"
Scope = Literal["block", "entity", "all"]
_BYTES = re.compile(r"(?P<first>-?\d{1,18}):(?P<last>\*|-?\d{1,18})", re.ASCII)
_CAR_VALUES = {"version": ("1",), "order": ("dfs", "unk"), "dups": ("y", "n")}


class EntityBytes(NamedTuple):
    """Offsets in a file; negative ones count from its end. `last` None: the last byte."""

    first: int
    last: int | None

    def in_file(self, size: int) -> ByteRange | None:
        """The first and the last byte of the range that are in a file of this size; None if none is."""
        first = max(size + self.first, 0) if self.first < 0 else self.first
        last = size - 1 if self.last is None else size + self.last if self.last < 0 else self.last
        last = min(last, size - 1)
        return ByteRange(first, last) if first <= last else None


class CarForm(msgspec.Struct, frozen=True):
    """`dups`: whether a block comes as often as it is linked to."""

    dups: bool = False
    scope: Scope = "all"
    entity_bytes: EntityBytes | None = None


class CarOptions(msgspec.Struct, frozen=True):
    """The query parameters of CAR requests, as they were sent."""

    version: str | None = None
    order: str | None = None
    dups: str | None = None
    scope: Scope | None = None
    entity_bytes: str | None = None

    def parameters(self) -> dict[str, str]:
        """Those that Accept may have, too."""
        values = {"version": self.version, "order": self.order, "dups": self.dups}
        return {name: value for name, value in values.items() if value is not None}


class _Preference(NamedTuple):
    kind: str
    parameters: Mapping[str, str]
    quality: float


def form_of(format_: str | None, accept: str, options: CarOptions) -> Literal["file", "raw"] | CarForm:
    """The form of the answer. Raises VALIDATION_FAILED, NOT_ACCEPTABLE."""
    if format_ == "raw":
        return "raw"
    if format_ == "car":
        offers = [item for item in _preferences(accept) if item.kind == CAR_TYPE]
        return _car(offers[0].parameters if offers else {}, options)
    preferences = sorted(_preferences(accept), key=lambda item: -item.quality)
    for item in preferences:
        if item.kind == RAW_TYPE:
            return "raw"
        if item.kind == CAR_TYPE and all(_is_possible(name, value) for name, value in item.parameters.items()):
            return _car(item.parameters, options)
        if not item.kind.startswith("application/vnd.ip"):
            return "file"
    if preferences:
        message = f"must allow {RAW_TYPE}, or {CAR_TYPE} with version=1, order=dfs or unk, and dups=y or n"
        raise Problem("NOT_ACCEPTABLE", f"Accept {message}", Detail("header:Accept", message))
    return "file"


def _preferences(accept: str) -> Iterator[_Preference]:
    """The media ranges of an Accept header, without those that are excluded by `q=0`."""
    for item in accept.split(","):
        kind, *pairs = (part.strip() for part in item.split(";"))
        split = (pair.partition("=") for pair in pairs)
        parameters = {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in split}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if kind and quality > 0:
            yield _Preference(kind.lower(), parameters, quality)


def _is_possible(name: str, value: str) -> bool:
    return name not in _CAR_VALUES or value in _CAR_VALUES[name]


def _car(accepted: Mapping[str, str], options: CarOptions) -> CarForm:
    for name, value in options.parameters().items():
        if not _is_possible(name, value):
            message = f"must be {' or '.join(_CAR_VALUES[name])}"
            raise invalid(f"?car-{name} {message}", Detail(f"?car-{name}", message))
    parameters = {**accepted, **options.parameters()}
    entity_bytes = None if options.entity_bytes is None else _entity_bytes(options.entity_bytes)
    scope = options.scope or ("all" if entity_bytes is None else "entity")
    return CarForm(parameters.get("dups") == "y", scope, entity_bytes)


def _entity_bytes(text: str) -> EntityBytes:
    match = _BYTES.fullmatch(text)
    if match is None:
        message = "must be from:to, two offsets in bytes such as 0:1023, 1024:* or -1024:*"
        raise invalid(f"?entity-bytes {message}", Detail("?entity-bytes", message))
    return EntityBytes(int(match["first"]), None if match["last"] == "*" else int(match["last"]))
