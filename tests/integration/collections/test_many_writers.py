"""Fifty concurrent writers of one collection, over HTTP: no acknowledged edit is lost."""

import asyncio
from uuid import UUID

from tests.support.apps.collections import Api

WRITERS = 50


async def test_fifty_writers_with_if_match_lose_no_update(api: Api):
    """Each adds an image to the current ones with If-Match, and tries again after a 412."""
    collection = await api.create({"title": "Mural"})
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}"

    async def add(writer: int) -> int:
        for attempt in range(1, 10 * WRITERS):
            read = await api.get(f"/collections/{collection['id']}")
            images = [*read.data["images"], f"https://example.com/{writer}.png"]
            answer = await api.put(path, {"images": images}, headers={"If-Match": read.headers["etag"]})
            if answer.status == 204:
                return attempt
            assert answer.code == (412, "VERSION_CONFLICT")
        raise AssertionError(f"writer {writer} never got through")

    attempts = await asyncio.gather(*(add(writer) for writer in range(WRITERS)))
    assert max(attempts) > 1, "they were in each other's way, or this proves nothing"
    after = (await api.get(f"/collections/{collection['id']}")).data
    assert sorted(after["images"]) == sorted(f"https://example.com/{writer}.png" for writer in range(WRITERS))
    assert after["version"] == collection["version"] + WRITERS


async def test_fifty_writers_without_if_match_are_all_in_the_history(api: Api):
    """Each edit is recorded once, and the state is that of the last one."""
    collection = await api.create({"title": "Mural", "editions": 7})
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    writes = [api.put(path, {"description": f"by {writer}"}) for writer in range(WRITERS)]
    writes += [api.put(path, {"price": str(writer + 1)}) for writer in range(WRITERS)]
    assert {answer.status for answer in await asyncio.gather(*writes)} == {204}
    recorded = [
        entry.event for entry in await api.store.read_stream(UUID(collection["id"]), after=collection["version"])
    ]
    values = [getattr(event, "description", None) or getattr(event, "price", "") for event in recorded]
    expected = [f"by {writer}" for writer in range(WRITERS)] + [str(writer + 1) for writer in range(WRITERS)]
    assert sorted(values) == sorted(expected)
    after = (await api.get(f"/collections/{collection['id']}")).data
    assert after["description"] == [item for item in values if item.startswith("by")][-1]
    assert after["price"] == [item for item in values if not item.startswith("by")][-1]
    assert (after["editions"], after["version"]) == (7, collection["version"] + 2 * WRITERS)
