"""The read tables are nothing but their events."""

import pytest

from services.collections.app import SERVICE
from shared.projections import rebuild
from tests.integration.collections.api import BOB, Api, two_steps


@pytest.mark.parametrize("projection", SERVICE.projections, ids=lambda projection: projection.name)
async def test_a_rebuilt_table_equals_the_live_one(api: Api, projection):
    """After a life with everything in it: several users, edits, publishing, the archive, numbers of every size."""
    for user in (None, BOB):
        who = {"user": user} if user else {}
        data = two_steps() | {"numbers": [1e300, 1e-9, 1.0, -0.0, 12345678901234567890]}
        body = {"title": "Birds", "data": data, "images": data["numbers"], "price": "0.000000000000000001"}
        made = await api.create(body, **who)
        path = f"/projects/{made['project_id']}/collections/{made['id']}"
        await api.put(path, {"title": "Fish", "data": made["data"] | {"more": True}}, **who)
        await api.put(path, {"description": "Many", "editions": 7, "blockchain": "BASE"}, **who)
        await api.post(f"/collections/{made['id']}/publish", **who)
        await api.post(f"/collections/{made['id']}/archive", **who)
        await api.post("/projects/untitled", **who)
    rebuilt = await rebuild(api.store, projection, swap=False)
    assert (rebuilt.missing, rebuilt.extra) == (0, 0)
    assert rebuilt.position == await api.store.head()
