"""Any JSON as a collection's `data`, over HTTP: accepted and returned byte for byte, or refused with a pointer."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collections.domain.collection.components import step_ids, with_components
from tests.support.apps.collections import Api, two_steps
from tests.support.odd_values import exists

DOCUMENTS = 100
"""By kind; hypothesis tries the simplest first."""

NUMBERS = st.sampled_from([0, -1, -0.0, 0.5, 1e22, 1e308, 5e-324, 2**53 + 1, 2**63, 2**64, 10**40]) | st.integers()
WORDS = st.text(max_size=6) | st.sampled_from(["", "\0", "e\u0301", "\ufffe", "\U0010ffff", "{{style}}", "{{$ref:1}}"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in below:
        yield from places(child, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a document with another value at one path."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


def documents(valid: dict[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    """By kind: additional members, replaced members, and documents of other values only."""
    free = st.dictionaries(st.text(max_size=6).map("x{}".format), JSON, min_size=1, max_size=3)
    inside = st.sampled_from([(), ("generations",), ("steps", 0), ("steps", 1, "nodePayload"), ("variables", 0)])

    def beside(path: tuple[Any, ...], more: dict[str, Any]) -> Any:
        there: Any = valid
        for key in path:
            there = there[key]
        return put(valid, path, {**there, **more})

    return {
        "beside": st.builds(beside, inside, free),
        "in place": st.builds(lambda path, new: put(valid, path, new), st.sampled_from([*places(valid)][1:]), JSON),
        "odd": st.dictionaries(st.sampled_from(sorted(valid)) | WORDS, JSON, max_size=4) | JSON.filter(_is_said),
    }


def _is_said(document: Any) -> bool:
    """`null` leaves `data` unchanged."""
    return document is not None


def drawn(strategy: st.SearchStrategy[Any]) -> list[Any]:
    examples: list[Any] = []

    @settings(max_examples=DOCUMENTS)
    @given(strategy)
    def draw(document: Any) -> None:
        examples.append(document)

    draw()
    return examples


class WithData(msgspec.Struct):
    data: msgspec.Raw


class Shown(msgspec.Struct):
    data: WithData


@pytest.mark.parametrize(("kind", "accepted_at_least"), [("beside", 30), ("in place", 5), ("odd", 0)])
async def test_data_is_stored_as_sent_or_refused_with_a_pointer(api: Api, kind: str, accepted_at_least: int) -> None:
    """By every read; a refused request changes nothing."""
    collection = await api.create({"title": "Any", "data": two_steps()})
    read = f"/collections/{collection['id']}"
    edit = f"/projects/{collection['project_id']}{read}"
    own_ids, before, accepted = step_ids(collection["data"]), await raw_data(api, read), 0
    for document in drawn(documents(collection["data"])[kind]):
        sent = {"data": document}
        answer = await api.put(edit, sent)
        if answer.status == 204:
            accepted += 1
            view = await raw_data(api, read)
            new_ids = [item for item in step_ids(msgspec.json.decode(view)) if item not in own_ids]
            before = msgspec.json.encode(with_components(document, new_ids, own_ids))
            version = answer.headers["etag"].strip('"')
            assert await raw_data(api, f"{read}?as_of={version}") == before
        else:
            assert answer.status == 400, answer
            assert answer.pointers
            missing = [detail["pointer"] for detail in answer.body["details"] if not exists(place(detail), sent)]
            assert not missing, (document, answer.body)
        assert await raw_data(api, read) == before
    assert accepted >= accepted_at_least


def place(detail: dict[str, str]) -> str:
    """The path of the fault; for a missing member, that of its object."""
    pointer = detail["pointer"]
    return pointer.rpartition("/")[0] if "required" in detail["message"] else pointer


async def raw_data(api: Api, path: str) -> bytes:
    """The bytes of a collection's `data` in the response."""
    return bytes(msgspec.json.decode(await api.text(path), type=Shown).data.data)
