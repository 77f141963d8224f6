"""The model aggregate: what operators describe of a file that ComfyUI servers load. Its id is derived from its name."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import ModelDescribed
from shared.contracts.problem import Detail, invalid, quote

NAMESPACE = UUID("0d1b0a5e-8f0b-4f38-9a53-8f5d1e0c7a42")
MAX_NAME, MAX_URL = 200, 2_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


def model_id(kind: str, name: str) -> UUID:
    return uuid5(NAMESPACE, f"{kind}/{name}")


class Describe(msgspec.Struct, frozen=True):
    """`kind`: the model's folder, such as checkpoints; `name`: its file. `size`: bytes. None: not known."""

    kind: str
    name: str
    source_url: str | None = None
    sha256: str | None = None
    size: int | None = None


class ModelFile(msgspec.Struct, frozen=True):
    """None: not described."""

    described: ModelDescribed | None = None


def evolve(_: ModelFile, event: Event) -> ModelFile:
    if isinstance(event, ModelDescribed):
        return ModelFile(event)
    raise AssertionError(f"{event!r} is not an event of a model")


def decide(command: Describe, state: ModelFile) -> Sequence[Event]:
    """No event if the model is described like this already. Raises VALIDATION_FAILED."""
    faults = list(_faults(command))
    if faults:
        raise invalid("The model is not valid", *faults)
    members: dict[str, Any] = msgspec.structs.asdict(command)
    described = ModelDescribed(model_id=model_id(command.kind, command.name), **members)
    return [] if described == state.described else [described]


def _faults(command: Describe) -> Iterator[Detail]:
    for name, value in (("kind", command.kind), ("name", command.name)):
        if not 1 <= len(value) <= MAX_NAME:
            yield Detail(f"/{name}", f"must have 1 to {MAX_NAME} characters")
    url = command.source_url
    if url is not None and (not url.startswith(("https://", "http://")) or len(url) > MAX_URL):
        yield Detail("/source_url", f"must be an http or https URL of at most {MAX_URL} characters, not {quote(url)}")
    if command.sha256 is not None and not _SHA256.fullmatch(command.sha256):
        yield Detail("/sha256", "must be the file's SHA-256 as 64 lower-case hex digits")
    if command.size is not None and not 0 <= command.size < 2**63:
        yield Detail("/size", "must be the file's size in bytes, 0 or more")
