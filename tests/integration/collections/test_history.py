"""The history of a collection, and its past states, over HTTP."""

from datetime import datetime, timedelta

from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps


async def lived(api: Api):
    collection = await api.create({"title": "Birds", "data": two_steps()})
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    await api.put(path, {"title": "Fish", "price": "0.5"})
    await api.put(path, {"data": collection["data"] | {"steps": collection["data"]["steps"][:1]}})
    return collection


async def test_the_history_has_actor_time_and_sentence(api: Api):
    """From the beginning, as sentences, in pages; for its owner only."""
    collection = await lived(api)
    path = f"/collections/{collection['id']}/history"
    first = await api.get(f"{path}?limit=3")
    rest = await api.get(f"{path}?limit=3&cursor={first.body['next_cursor']}")
    entries = first.data + rest.data
    assert [entry["text"] for entry in entries] == [
        "created “Birds”, with 2 steps",
        "got a preview, closed at first",
        "retitled it “Fish”",
        "set the price to 0.5",
        "revised how the artwork is made: 1 step now",
    ]
    assert rest.body["next_cursor"] is None
    assert {entry["actor"] for entry in entries} == {f"user:{ALICE}"}
    assert [entry["version"] for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[2]["changes"] == {"title": "Fish"}
    assert entries[0]["at"] == collection["created_at"]
    assert (await api.get(path, BOB)).code == (404, "NOT_FOUND")


async def test_a_collection_at_a_past_version_or_time(api: Api):
    """With the ETag of that version."""
    collection = await lived(api)
    path = f"/collections/{collection['id']}"
    now = (await api.get(path)).data
    then = await api.get(f"{path}?as_of=2")
    assert then.headers["etag"] == '"2"'
    assert then.data == collection
    assert (await api.get(f"{path}?as_of=4")).data["data"] == collection["data"]
    assert (await api.get(f"{path}?as_of=99")).data == now
    params = {"as_of": collection["created_at"]}
    assert (await api.get(path, params=params)).data["title"] == "Birds"
    params = {"as_of": now["updated_at"]}
    assert (await api.get(path, params=params)).data == now
    before = datetime.fromisoformat(collection["created_at"]) - timedelta(seconds=1)
    for query in ({"as_of": before.isoformat()}, {"as_of": "0"}):
        assert (await api.get(path, params=query)).code == (404, "NOT_FOUND")
    for wrong in ("yesterday", "-1", "2026-11-22T12:00:00", "9" * 30):
        assert (await api.get(path, params={"as_of": wrong})).pointers == ["?as_of"]
    assert (await api.get(f"{path}?as_of=2", BOB)).code == (404, "NOT_FOUND")
