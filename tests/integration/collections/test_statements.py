"""How many statements a request sends, and that answers from states and from tables are equal."""

from typing import Any
from uuid import uuid4

import pytest

from services.collections.domain import series
from services.collections.domain.artwork import commands as artwork
from services.collections.handlers.artwork import ArtworkHandlers
from shared.contracts.generation import GenerationStarted
from shared.eventstore import Context
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import SELLABLE, Api, two_steps
from tests.support.statements import statements

APPEND, STREAM, OF_COLLECTIONS = "from append_events", "from events where stream_id", "from collections_v8"


async def test_a_creation_is_one_append(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Once the user's default project is cached, nothing is read before or after the append."""
    await api.create({"data": two_steps()})
    await api.create({"data": two_steps()})
    sent = statements(monkeypatch)
    for _ in range(5):
        await api.create({"data": two_steps()})
    assert sent.of(APPEND) == 5
    assert sent.of(STREAM) == sent.of(OF_COLLECTIONS) == 0


async def test_a_collection_is_read_with_one_statement(api: Api, monkeypatch: pytest.MonkeyPatch):
    collection = await api.create({"data": two_steps()})
    path = f"/collections/{collection['id']}"
    assert (await api.get(path)).data == collection
    sent = statements(monkeypatch)
    assert (await api.get(path)).data == collection
    assert (await api.get(path, user=BOB)).code == (404, "NOT_FOUND")
    assert sent.of(STREAM) == 2
    assert sent.of(OF_COLLECTIONS) == 0


async def test_drawing_artworks_of_a_cached_series_reads_no_stream(api: Api, monkeypatch: pytest.MonkeyPatch):
    """The places of a series never change, and the artworks are new."""
    handlers = ArtworkHandlers(api.store)
    job_id, collection_id, gids = uuid4(), uuid4(), [uuid4() for _ in range(5)]
    began = series.BeginSeries(job_id, collection_id, ALICE, gids)
    await handlers.record_series(job_id, began, Context(uuid4(), "tester"))
    sent = statements(monkeypatch)
    for gid in gids:
        started = GenerationStarted(gid, job_id, ALICE, collection_id, "ab" * 32, {"style": "noir"}, [], 1)
        context, command = Context(uuid4(), "tester"), artwork.CompleteArtwork(gid, [], [])
        await handlers.draw_artwork(started, context)
        await handlers.record_artwork(gid, command, Context(uuid4(), "tester"))
    assert sent.of(STREAM) == 0
    await handlers.draw_artwork(started, context)
    drawn_again = await handlers.store.read_stream(gid)
    assert [event.type for event in drawn_again] == ["artwork_drawn.v1", "artwork_made.v1"]


async def test_lists_and_single_collections_are_equal(api: Api):
    """A list is read from a table, a single collection from its state: equal after every kind of change."""
    collection = await api.create({"title": "Tides", "data": two_steps(), **SELLABLE})
    await api.make_artworks(collection)
    path, folder = f"/collections/{collection['id']}", f"/projects/{collection['project_id']}/collections"
    changes: list[tuple[str, str, Any]] = [
        (
            "PUT",
            f"{folder}/{collection['id']}",
            {"title": "Ebb", "description": "gone", "images": [{"url": "https://a/b"}]},
        ),
        ("PUT", f"{path}/preview", {"enabled": True, "max_generations": 5, "is_remixable": True}),
        ("POST", f"{path}/current", None),
        ("POST", f"{path}/archive", None),
        ("POST", f"{path}/restore", None),
        ("POST", f"{path}/publish", {"publish_date": "2199-01-01T00:00:00Z"}),
        ("DELETE", f"{path}/publish", None),
    ]
    for method, where, body in changes:
        response = await api.send(method, where, ALICE, json=body)
        assert response.status in {200, 204}, response.body
        one = (await api.get(path)).data
        archived = "?archived=true" if one["archived"] else ""
        (listed,) = (await api.get(folder + archived)).data
        assert {**listed, "data": one["data"]} == one, (method, where)
        if response.status == 200:
            answer = {name: value for name, value in response.data.items() if name not in {"series", "warnings"}}
            assert answer == one, (method, where)
    assert one["is_current"]
