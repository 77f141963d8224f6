"""Several ComfyUI servers: which one gets a graph."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from shared.contracts.work import OfferedModel
from tests.integration.workers.comfy.conftest import worker_for
from tests.integration.workers.comfy.test_trouble import code, run, start
from tests.support.comfy.graphs import inverted, node
from tests.support.comfy.standin import StandIn, stand_in
from tests.support.patience import eventually
from tests.support.serving import free_port
from workers.comfy.run import comfy
from workers.comfy.settings import ComfySettings
from workers.kit.testing import RunningStep


@pytest_asyncio.fixture
async def other() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        yield server


async def test_each_server_runs_as_many_as_it_may_and_the_least_busy_one_is_next(
    standin: StandIn, other: StandIn
) -> None:
    standin.gate.clear()
    other.gate.clear()
    async with worker_for(f"{standin.url}#2", other.url) as test:
        steps = [start(test, inverted(number)) for number in range(4)]
        await eventually(lambda: len(standin.submissions) + len(other.submissions) == 3, "three run")
        assert (len(standin.submissions), len(other.submissions)) == (2, 1)
        standin.gate.set()
        other.gate.set()
        assert [(await step.outcome()).status for step in steps] == ["completed"] * 4


async def test_the_time_of_a_step_begins_when_a_server_takes_its_graph(standin: StandIn) -> None:
    """Behind another graph of ours, which has the only place, and behind somebody else's in ComfyUI's queue."""
    standin.gate.clear()
    async with worker_for(standin.url) as ours, worker_for(standin.url) as theirs:
        first = start(ours, inverted(1))
        await eventually(lambda: standin.running is not None, "the first one to run")
        behind = [start(ours, inverted(2)), start(theirs, inverted(3))]
        await eventually(lambda: len(standin.submissions) == 2, "the other worker's to be queued")
        for step in behind:
            await eventually(lambda step=step: stands_still(step), "its time to stand still", every=0.2)
        standin.gate.set()
        assert [(await step.outcome()).status for step in (first, *behind)] == ["completed"] * 3


async def stands_still(step: RunningStep) -> bool:
    before = step.seconds_left
    await asyncio.sleep(0.3)
    return step.seconds_left > before - 0.1


async def test_a_server_that_lacks_a_class_or_a_model_is_not_asked(standin: StandIn, other: StandIn) -> None:
    del standin.info["ImageInvert"]
    other.models = {"checkpoints": ["x.safetensors"], "vae": []}
    async with worker_for(standin.url, other.url) as test:
        assert (await run(test, inverted())).status == "completed"
        assert (await run(test, inverted())).status == "completed"
        graph = {"1": node("PrimitiveString", value="x"), "2": node("PreviewAny", source=["1", 0])}
        payload = {"graph": graph, "models": [{"kind": "checkpoints", "name": "x.safetensors"}]}
        assert (await test.run("comfy", payload, workflow_type="comfy_workflow")).status == "completed"
    assert (len(standin.submissions), len(other.submissions)) == (0, 3)


async def test_a_model_that_was_added_meanwhile_is_seen_before_a_step_is_refused(standin: StandIn) -> None:
    graph = {**inverted(), "4": node("VAELoader", vae_name="new.safetensors")}
    async with worker_for(standin.url) as test:
        assert code(await run(test, graph)) == "COMFY_UNSUITABLE"
        standin.info["VAELoader"]["input"]["required"]["vae_name"][0].append("new.safetensors")
        await eventually(lambda: completes(test, graph), "it is seen", every=1.0)


async def completes(test: Any, graph: Any) -> bool:
    return bool((await run(test, graph)).status == "completed")


async def test_a_server_that_is_away_takes_nothing_and_the_others_work_on(standin: StandIn) -> None:
    async with worker_for(f"http://127.0.0.1:{free_port()}#4", standin.url) as test:
        for number in range(3):
            assert (await run(test, inverted(number))).status == "completed"


async def test_a_graph_waits_for_the_only_server_and_fails_for_now_if_it_stays_away(standin: StandIn) -> None:
    port = free_port()
    async with worker_for(f"http://user:secret@127.0.0.1:{port}", comfy_wait_seconds=1.0) as test:
        outcome = await run(test, inverted())
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("COMFY_UNAVAILABLE", True)
    assert "secret" not in outcome.error.message


async def test_where_a_server_has_a_custom_node_it_is_left_as_it_is(standin: StandIn) -> None:
    """But for what it loads, which comes from us, and for texts, which would not come back."""
    standin.info["EmProps_Cloud_Storage_Saver"] = standin.info["SaveImage"]
    standin.info["EmProps_Text_Cloud_Storage_Saver"] = standin.info["PreviewAny"]
    graph = {
        **inverted(),
        "4": node("EmProps_Cloud_Storage_Saver", images=["1", 0], filename_prefix="p", provider="aws"),
        "5": node("PrimitiveString", value="x"),
        "6": node("EmProps_Text_Cloud_Storage_Saver", text=["5", 0]),
    }
    standin.gate.clear()
    async with worker_for(standin.url) as test:
        step = start(test, graph)
        await eventually(lambda: standin.running is not None, "it runs")
        assert standin.running is not None
        sent = standin.running.graph
        step.cancel()
        await step.outcome()
    assert sent["4"]["class_type"] == "EmProps_Cloud_Storage_Saver"
    assert sent["4"]["inputs"]["provider"] == "aws"
    assert sent["6"] == {"class_type": "PreviewAny", "inputs": {"source": ["5", 0]}}


async def test_the_worker_announces_the_models_that_its_servers_have(standin: StandIn, other: StandIn) -> None:
    standin.models = {"vae": ["a.safetensors"]}
    other.models = {"vae": ["a.safetensors", "b.safetensors"], "loras": []}
    settings = ComfySettings(nats_url="nats://none", comfy_urls=f"{standin.url},{other.url}")
    worker = comfy(settings)
    assert worker.models() is None, "it does not know yet"
    async with worker.lifespan():
        await eventually(worker.models, "both are read")
        offered = [OfferedModel("vae", name) for name in ("a.safetensors", "b.safetensors", "pixel_space")]
        assert worker.models() == offered, "with what the loader has without a file"


async def test_a_server_that_fetches_models_itself_makes_the_list_open(standin: StandIn) -> None:
    standin.info["EmProps_Asset_Downloader"] = standin.info["PreviewAny"]
    worker = comfy(ComfySettings(nats_url="nats://none", comfy_urls=standin.url))
    async with worker.lifespan():
        await eventually(lambda: "GET /models/vae" in standin.requests, "it is read")
        assert worker.models() is None
