"""What is public of a published collection changes in the open: each change is a dated revision."""

from datetime import datetime
from typing import Any

from services.collections.projections.revisions import REVISIONS
from shared.projections import rebuild
from tests.support.apps.client import BOB
from tests.support.apps.collections import SELLABLE, Api, two_steps

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


async def published(api: Api) -> tuple[Any, str, str]:
    """A published collection with a royalty; its address, and that of its owner's."""
    collection = await api.create({"title": "Birds", "description": "Seen", "data": two_steps(), **SELLABLE})
    owners = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    await api.post(f"{owners}/receivers", {"receivers": [{"address": EVM, "value": 5, "purpose": "royalty"}]})
    assert (await api.publish(collection)).data["revision"] == 1
    return collection, f"/collections/{collection['id']}", owners


async def test_a_change_after_publication_is_a_new_dated_revision(api: Api):
    """Anybody sees what was changed and when, and the documents as they were."""
    _, path, owners = await published(api)
    first = {at: (await api.get(f"{path}/{at}?raw=true", None)).body for at in ("metadata", "tokens/1/metadata")}
    assert (await api.put(owners, {"description": "Heard", "price": "1"})).status == 204
    await api.post(f"{owners}/receivers", {"receivers": [{"address": EVM, "value": 10, "purpose": "royalty"}]})
    assert (await api.get(f"{path}/public", None)).data["revision"] == 3
    revisions = (await api.get(f"{path}/revisions", None)).data
    assert [(item["revision"], item["changes"]) for item in revisions] == [
        (3, ["receivers"]),
        (2, ["description", "price"]),
        (1, []),
    ]
    dates = [datetime.fromisoformat(item["at"]) for item in revisions]
    assert dates == sorted(dates, reverse=True)
    present = (await api.get(f"{path}/metadata", None)).data
    assert (present["description"], present["royalties"][0]["basis_points"]) == ("Heard", 1000)
    second = (await api.get(f"{path}/metadata?revision=2", None)).data
    assert (second["description"], second["royalties"][0]["basis_points"]) == ("Heard", 500)
    assert (await api.get(f"{path}/metadata?revision=3", None)).data == present
    for at, document in first.items():
        assert (await api.get(f"{path}/{at}?raw=true&revision=1", None)).body == document
    assert (await api.get(f"{path}/tokens/1/metadata?revision=2", None)).data["description"] == "Heard"
    page = await api.get(f"{path}/revisions?limit=2", None)
    assert [item["revision"] for item in page.data] == [3, 2]
    page = await api.get(f"{path}/revisions?limit=2&cursor={page.body['next_cursor']}", None)
    assert ([item["revision"] for item in page.data], page.body["next_cursor"]) == ([1], None)
    rebuilt = await rebuild(api.store, REVISIONS, swap=False)
    assert (rebuilt.missing, rebuilt.extra) == (0, 0)


async def test_there_are_no_other_revisions(api: Api):
    """Nor for those who may not see the collection."""
    collection, path, owners = await published(api)
    for number in (2, 2**53):
        assert (await api.get(f"{path}/metadata?revision={number}", None)).code == (404, "NOT_FOUND")
    for number in ("0", "-1", "x", str(2**64)):
        assert (await api.get(f"{path}/metadata?revision={number}", None)).status == 400
    await api.put(owners, {"description": collection["description"]})
    assert len((await api.get(f"{path}/revisions", None)).data) == 1
    assert (await api.put(owners, {"editions": 5})).pointers == ["/editions"]
    draft = await api.create({"title": "Fish"})
    assert (await api.get(f"/collections/{draft['id']}/revisions")).data == []
    assert (await api.get(f"/collections/{draft['id']}/metadata?chain=BASE&revision=1")).code == (404, "NOT_FOUND")
    for user in (None, BOB):
        assert (await api.get(f"/collections/{draft['id']}/revisions", user)).code == (404, "NOT_FOUND")
