"""The read tables can be rebuilt from events."""

from services.collections.app import SERVICE
from shared.projections import rebuild
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


async def test_rebuilt_tables_equal_the_live_ones(api: Api):
    """After commands of all kinds by several users, with numbers of every size."""
    for user in (ALICE, BOB):
        who = {"user": user}
        data = two_steps() | {"numbers": [1e300, 1e-9, 1.0, -0.0, 9223372036854775807]}
        body = {"title": "Birds", "data": data, "images": data["numbers"], "price": "0.000000000000000001"}
        collection = await api.create(body, **who)
        path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
        address = f"/collections/{collection['id']}"
        answers = [
            await api.put(path, {"title": "Fish", "data": collection["data"] | {"more": True}}, **who),
            await api.put(path, {"description": "Many", "editions": 1, "blockchain": "BASE"}, **who),
            await api.post(f"{path}/receivers", {"receivers": [{"address": EVM, "value": 5, "type": "x"}]}, **who),
            await api.put(f"{address}/preview", {"enabled": True, "is_remixable": True}, **who),
            await api.post(f"{address}/remix", {}, ALICE),
            await api.post(f"{address}/current", **who),
            await api.put(f"{address}/series", {"job_id": str((await api.make_artworks(collection, **who))[0])}, **who),
            await api.publish(collection, {"publish_date": "2999-01-01T00:00:00Z"}, **who),
            await api.post(f"{address}/publish", **who),
            await api.post(f"{address}/archive", **who),
            await api.post("/projects/untitled", **who),
        ]
        assert [answer.status for answer in answers if answer.status >= 300] == []
    await api.get("/projects")  # which waits until the tables show all that was answered
    for projection in SERVICE.projections:
        rebuilt = await rebuild(api.store, projection, swap=False)
        assert (rebuilt.missing, rebuilt.extra) == (0, 0), projection.name
        assert rebuilt.position == await api.store.head()
