"""Work on the largest requests leaves the event loop: no turn of it is long, counted in calls."""

import json
from typing import Any

import pytest

from tests.support.apps.client import ALICE
from tests.support.apps.generation import ANSWERED, Api, created, data
from tests.support.loop_steps import LoopSteps

MOST = 130_000
"""Calls in one turn: some 50 ms. A job of 10,000 generations is folded with 100,000."""
STEP = {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "foxes"}}


def much_text() -> dict[str, Any]:
    nodes = [{"type": "p", "content": [{"text": "{{n}}"}]} for _ in range(500)]
    step = {**STEP, "nodePayload": {"prompt": {"type": "doc", "content": nodes}}}
    return data(step, variables=[{"name": "n", "type": "number", "value": 7}])


def many_values() -> dict[str, Any]:
    listed = [f"value {number:05}" for number in range(9_900)]
    pick = {"name": "p", "type": "pick", "value_type": "strings", "value": {"values": listed, "display_names": listed}}
    return data(STEP, variables=[pick, {"name": "unused", "type": "text", "value": "x" * 10_000}])


@pytest.mark.parametrize(
    ("instructions", "count"),
    [(many_values(), 7_000), (much_text(), 6_000), (data(STEP), 10_000)],
    ids=["many values", "a large document", "many generations"],
)
async def test_the_largest_request(api: Api, collections: Any, instructions: dict[str, Any], count: int) -> None:
    """Dry, and for good, with hashes of its own; and the reading of what was asked for."""
    collection = await created(collections, instructions)
    path = f"/collections/{collection}/generations"
    hashes = [f"hash {number:05}" for number in range(count)]
    headers = {"Content-Type": "application/json", "Emprops-Position": f"collections:1:{ANSWERED[collection]}"}
    bodies = [json.dumps({"hashes": hashes, "generations": count, "dry_run": dry}) for dry in (True, False)]
    with LoopSteps(MOST) as steps:
        dry = await api.send("POST", path, ALICE, data=bodies[0], headers=headers)
        assert (dry.status, dry.data["total"]) == (200, count)
        response = await api.send("POST", path, ALICE, data=bodies[1], headers=headers)
        assert response.status == 202
        assert (await api.job(response.data["job_id"]))["id"] == response.data["job_id"]
        assert (await api.get("/jobs")).status == 200
        assert (await api.get(f"/jobs/{response.data['job_id']}/history")).status == 200
    steps.assert_short()
