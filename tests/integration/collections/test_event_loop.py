"""Work on the largest inputs runs in threads: the function calls in one turn of the event loop are bounded."""

import json
from typing import Any

import pytest

from tests.support.apps.collections import SELLABLE, Api
from tests.support.loop_steps import LoopSteps

MOST = 20_000
"""Calls in one turn, less than 10 ms. Checking the largest data takes hundreds of thousands."""
STEP = {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "foxes"}}


def values(count: int) -> dict[str, Any]:
    listed = [f"value {number:05}" for number in range(count)]
    pick = {"name": "p", "type": "pick", "value_type": "strings", "value": {"values": listed, "display_names": listed}}
    return {"version": "v2", "steps": [STEP], "variables": [pick]}


def texts() -> dict[str, Any]:
    """With as many members as fit, nested as deep as allowed."""
    nodes = [{"type": "p", "content": [{"text": "{{n}}"}]} for _ in range(8_000)]
    step = {**STEP, "nodePayload": {"prompt": {"type": "doc", "content": nodes}}}
    return {"version": "v2", "steps": [step], "variables": [{"name": "n", "type": "number", "value": 7}]}


@pytest.mark.parametrize("data", [values(9_900), texts()], ids=["many values", "a large document"])
async def test_the_largest_collection_does_not_block_the_event_loop(api: Api, data: dict[str, Any]) -> None:
    """Creation, edit, read, remix, dry run, and the table of its variables in both directions."""
    body = json.dumps({"title": "Large", "data": data}).encode()
    assert len(body) > 250_000
    headers = {"Content-Type": "application/json"}
    with LoopSteps(MOST) as steps:
        collection = (await api.send("POST", "/projects/collections", data=body, headers=headers)).data
        path = f"/collections/{collection['id']}"
        project = f"/projects/{collection['project_id']}{path}"
        assert (await api.send("PUT", project, data=body, headers=headers)).status < 300
        assert (await api.get(path)).status == 200
        assert (await api.post(f"{path}/publish?dry_run=true")).status == 200
        assert (await api.get(f"{path}/history")).status == 200
        table = await api.text(f"{path}/variables.csv")
        changed = (table + "new,number,,,,1,,,\r\n").encode()
        put = await api.send("PUT", f"{path}/variables.csv", data=changed, headers={"Content-Type": "text/csv"})
        assert put.status == 204
    steps.assert_short()


async def test_publishing_many_artworks_does_not_block_the_event_loop(api: Api) -> None:
    """The dry run, the choice and the publication read all of them; decoding and checking run in a thread."""
    collection = await api.create({"title": "Many", **SELLABLE, "editions": 3_000})
    job, _ = await api.make_artworks(collection, 3_000)
    path, body = f"/collections/{collection['id']}", {"job_id": str(job)}
    assert (await api.post(f"{path}/publish?dry_run=true", body)).status == 200, "which waits until all are known"
    with LoopSteps(MOST) as steps:
        assert (await api.post(f"{path}/publish?dry_run=true", body)).data["valid"]
        assert (await api.put(f"{path}/series", body)).status == 200
        assert (await api.post(f"{path}/publish", body)).status == 200
        assert (await api.get(f"{path}/tokens", None)).status == 200
    steps.assert_short()


async def test_refusing_the_largest_table_does_not_block_the_event_loop(api: Api) -> None:
    collection = await api.create({"title": "Small"})
    path, headers = f"/collections/{collection['id']}/variables.csv", {"Content-Type": "text/csv"}
    table = b"name,type,value\nx,pick,a\n" + b",,b\n" * 900_000
    with LoopSteps(MOST) as steps:
        assert (await api.send("PUT", path, data=table, headers=headers)).status == 400
    steps.assert_short()
