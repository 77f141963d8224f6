"""The stand-in answers as the real ComfyUI 0.8.0 did whose answers are recorded in tests/fixtures/comfyui/recorded."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.comfy.standin import FIXTURES, StandIn
from tests.support.patience import eventually

RECORDED = FIXTURES / "recorded"
SCENARIOS = sorted(path.stem for path in RECORDED.glob("*.json") if "prompt" in json.loads(path.read_text()))
SHOWN = ("execution_start", "execution_cached", "executing", "executed", "execution_success")


def recording(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


async def call(http: aiohttp.ClientSession, method: str, url: str, **options: Any) -> tuple[int, Any]:
    async with http.request(method, url, **options) as response:
        text = await response.text()
        return response.status, json.loads(text) if response.content_type == "application/json" else text


def refusal(answer: Any) -> Any:
    """What a client can rely on: the kinds of errors, and the nodes and inputs that have them."""
    if not isinstance(answer, dict):
        return answer
    nodes = {
        node: sorted(error["type"] for error in faults["errors"])
        for node, faults in (answer.get("node_errors") or {}).items()
    }
    error = answer.get("error") or {}
    return error.get("type"), error.get("message"), nodes


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_graph_is_answered_and_ends_as_recorded(standin: StandIn, name: str) -> None:
    expected = recording(name)
    request = expected["request"]
    for path in inputs_of(request["prompt"]) - {"not-there.png"}:
        standin.inputs[path] = PNG
    async with aiohttp.ClientSession() as http:
        if name == "all_cached":
            before = recording("success")["request"]
            await call(http, "POST", f"{standin.url}/prompt", json=before)
            await ended(standin, before["prompt_id"])
        frames: list[Any] = []
        async with http.ws_connect(f"{standin.url}/ws?clientId={request['client_id']}") as socket:
            listening = asyncio.create_task(listen(socket, frames))
            status, answer = await call(http, "POST", f"{standin.url}/prompt", json=request)
            assert status == expected["prompt"]["status"]
            assert refusal(answer) == refusal(expected["prompt"]["body"])
            if status == 200:
                await ended(standin, request["prompt_id"])
                await eventually(lambda: frames and frames[-1] == ("executing", None), "the last frame")
                recorded_frames = frames_of(expected["frames"])
                assert (frames[0], frames[-2:]) == (recorded_frames[0], recorded_frames[-2:])
                assert sorted(frames, key=str) == sorted(recorded_frames, key=str), "branches run in any order"
            listening.cancel()
        _, history = await call(http, "GET", f"{standin.url}/history/{request['prompt_id']}")
        _, job = await call(http, "GET", f"{standin.url}/api/jobs/{request['prompt_id']}")
    recorded_history = expected["history"]["body"] if expected["history"] else {}
    assert summary(history) == summary(recorded_history)
    assert job.get("status", job.get("error")) == (expected["job"]["body"] or {}).get(
        "status", expected["job"]["body"].get("error")
    )


PNG = (Path(__file__).parents[4] / "tests" / "fixtures" / "comfyui" / "dot.png").read_bytes()


def inputs_of(graph: Any) -> set[str]:
    return {node["inputs"]["image"] for node in graph.values() if node["class_type"] == "LoadImage"}


async def ended(standin: StandIn, prompt_id: str) -> None:
    await eventually(lambda: prompt_id in standin.history, "it has ended")


async def listen(socket: aiohttp.ClientWebSocketResponse, frames: list[Any]) -> None:
    async for frame in socket:
        event = json.loads(frame.data)
        frames += frames_of([event])


def frames_of(events: list[Any]) -> list[Any]:
    """The kinds in order, with the node; in `executed` the number of files, whose names differ."""
    return [(event["type"], event["data"].get("node")) for event in events if event["type"] in SHOWN]


def summary(history: Any) -> Any:
    return [
        (
            entry["status"]["status_str"],
            entry["status"]["completed"],
            [kind for kind, _ in entry["status"]["messages"]],
            {node: {name: len(files) for name, files in outputs.items()} for node, outputs in entry["outputs"].items()},
        )
        for entry in history.values()
    ]


async def test_what_is_unknown_is_answered_as_recorded(standin: StandIn) -> None:
    async with aiohttp.ClientSession() as http:
        for path, expected in {
            "/history/x": recording("unknown")["history"],
            "/api/jobs/x": recording("unknown")["job"],
            "/object_info/x": recording("object_info_unknown"),
        }.items():
            assert await call(http, "GET", f"{standin.url}{path}") == (expected["status"], expected["body"])
        assert (await call(http, "GET", f"{standin.url}/view?filename=x"))[0] == recording("view_missing")["status"]
        status, answer = await call(http, "POST", f"{standin.url}/prompt", json={})
        empty = recording("prompt_empty")
        assert (status, refusal(answer)) == (empty["status"], refusal(empty["body"]))


async def test_a_run_that_is_interrupted_ends_as_recorded(standin: StandIn) -> None:
    """Another's interruption does nothing; one that is deleted from the queue is unknown afterwards."""
    expected = recording("queue_delete_interrupt")
    graph = recording("success")["request"]["prompt"]
    standin.gate.clear()
    async with aiohttp.ClientSession() as http:
        for name in ("running", "queued"):
            body = {"prompt": graph, "prompt_id": name}
            assert (await call(http, "POST", f"{standin.url}/prompt", json=body))[0] == 200
        await eventually(lambda: standin.running is not None, "the first runs")
        for name in ("running", "queued"):
            _, job = await call(http, "GET", f"{standin.url}/api/jobs/{name}")
            assert job["status"] == expected[f"job_{name}"]["body"]["status"]
        await call(http, "POST", f"{standin.url}/queue", json={"delete": ["queued"]})
        assert (await call(http, "GET", f"{standin.url}/api/jobs/queued"))[0] == expected["job_after_delete"]["status"]
        await call(http, "POST", f"{standin.url}/interrupt", json={"prompt_id": "another"})
        assert standin.running is not None
        await call(http, "POST", f"{standin.url}/interrupt", json={"prompt_id": "running"})
        await ended(standin, "running")
        _, history = await call(http, "GET", f"{standin.url}/history/running")
        _, job = await call(http, "GET", f"{standin.url}/api/jobs/running")
    assert summary(history) == summary(expected["history"]["body"])
    assert job["status"] == expected["job_after"]["body"]["status"]
