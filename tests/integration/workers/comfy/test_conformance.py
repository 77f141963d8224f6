"""The worker's guarantees, on the stand-in; and on a real ComfyUI, too, where COMFY_DIR says where one is."""

import asyncio
import io
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from PIL import Image

from tests.integration.workers.comfy.conftest import worker_for
from tests.support.comfy.graphs import Graph, image, inverted, node, slow
from tests.support.patience import eventually
from workers.comfy.handler import prompt_id
from workers.comfy.server import ComfyServer
from workers.kit.testing import Outcome, RunningStep, WorkerTest

COMFY = {"workflow_type": "comfy_workflow"}
LONG = 250.0


async def run(test: WorkerTest, graph: Graph, models: list[Any] | None = None, **options: Any) -> Outcome:
    return await test.run("comfy", {"graph": graph, "models": models or []}, seconds=LONG, **COMFY, **options)


def start(test: WorkerTest, graph: Graph, **options: Any) -> RunningStep:
    return test.start("comfy", {"graph": graph, "models": []}, seconds=LONG, **COMFY, **options)


def pixel(outcome: Outcome, number: int = 0) -> Any:
    return Image.open(io.BytesIO(list(outcome.files.values())[number])).convert("RGB").getpixel((0, 0))


def png(color: tuple[int, int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (24, 24), color).save(content, "PNG")
    return content.getvalue()


async def get(comfy: Any, path: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{comfy.url}{path}") as response:
        return await response.json()


async def is_idle(comfy: Any) -> bool:
    queue = await get(comfy, "/queue")
    return not queue["queue_running"] and not queue["queue_pending"]


def fault(outcome: Outcome) -> tuple[str, bool]:
    assert outcome.error is not None, outcome
    return outcome.error.code, outcome.error.retryable


async def test_a_graphs_images_are_stored_and_its_progress_is_reported(comfy: Any) -> None:
    async with worker_for(comfy.url) as test:
        outcome = await run(test, inverted(0x00FF10, count=2))
    assert outcome.status == "completed", outcome
    assert [output.mime_type for output in outcome.outputs] == ["image/png"] * 2
    assert pixel(outcome, 0) == pixel(outcome, 1) == (255, 0, 239)
    shares = [share for share, _ in outcome.progress]
    assert shares == sorted(shares)
    assert outcome.progress[-1] == (1.0, "comfy done")


async def test_one_graph_run_again_by_another_step_has_outputs_too(comfy: Any) -> None:
    """The server has all of it in its cache, but for the node that saves: each step's files have names of its own."""
    async with worker_for(comfy.url) as test:
        first, second = await run(test, inverted(0x777777)), await run(test, inverted(0x777777))
    assert first.status == second.status == "completed"
    assert pixel(first) == pixel(second)


async def test_an_all_cached_run_has_its_outputs(comfy: Any) -> None:
    """Nothing runs again, not even the node that makes the output."""
    text = uuid4().hex
    graph = {"1": node("PrimitiveString", value=text), "2": node("PreviewAny", source=["1", 0])}
    async with worker_for(comfy.url) as test:
        assert [(await run(test, graph)).texts for _ in range(2)] == [[text]] * 2


async def test_the_platforms_nodes_run_on_a_server_without_them(comfy: Any) -> None:
    url = "http://storage.test/pictures/7/content"
    graph = {
        "1": node("EmProps_Image_Loader", source_type="public_download", image="example.png", url=url),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("EmProps_Cloud_Storage_Saver", images=["2", 0], provider="azure", prefix="p/", filename="i.png"),
        "4": node("PrimitiveString", value="a text"),
        "5": node("EmProps_Text_Cloud_Storage_Saver", text=["4", 0], prefix="p/", filename="t.txt"),
        "6": node("Display Any (rgthree)", source=["4", 0]),
    }
    async with worker_for(comfy.url) as test:
        outcome = await run(test, graph, files={url: png((255, 0, 255))})
    assert outcome.status == "completed", outcome
    assert pixel(outcome) == (0, 255, 0)
    assert (len(outcome.files), outcome.texts) == (1, ["a text"]), "what is only displayed is no output"


async def test_an_animation_and_a_video_come_back(comfy: Any) -> None:
    graph = {
        "1": image(5, size=32, count=3),
        "2": node("EmProps_Cloud_Animated_WEBP_Saver", images=["1", 0], fps=4.0, provider="aws", filename="a"),
        "3": node("VHS_VideoCombine", images=["1", 0], frame_rate=8, format="video/h264-mp4", pingpong=True),
    }
    async with worker_for(comfy.url) as test:
        outcome = await run(test, graph)
    assert outcome.status == "completed", outcome
    kinds = {output.mime_type: content for output, content in zip(outcome.outputs, outcome.files.values(), strict=True)}
    assert set(kinds) == {"image/webp", "video/mp4"}
    assert kinds["image/webp"][8:12] == b"WEBP"
    assert kinds["video/mp4"][4:8] == b"ftyp"


async def test_previews_are_the_outputs_of_a_graph_that_makes_nothing_else(comfy: Any) -> None:
    graph = {"1": image(9), "2": node("PreviewImage", images=["1", 0])}
    async with worker_for(comfy.url) as test:
        assert len((await run(test, graph)).files) == 1
        both = await run(test, {**graph, "3": node("SaveImage", images=["1", 0], filename_prefix="x")})
    assert len(both.files) == 1


async def test_latents_are_no_outputs_and_a_graph_without_outputs_fails(comfy: Any) -> None:
    graph = {
        "1": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "2": node("SaveLatent", samples=["1", 0], filename_prefix="x"),
    }
    async with worker_for(comfy.url) as test:
        assert fault(await run(test, graph)) == ("COMFY_NO_OUTPUT", False)


async def test_a_graph_whose_one_branch_is_refused_fails_as_a_whole(comfy: Any) -> None:
    """ComfyUI answers 200 and runs the other branch; the step would be complete without what was asked for."""
    graph = {**inverted(11), "4": node("SaveImage", images=["98", 0], filename_prefix="x")}
    async with worker_for(comfy.url) as test:
        outcome = await run(test, graph)
        assert fault(outcome) == ("COMFY_REFUSED", False)
        assert "node 4 (SaveImage)" in (outcome.error.message if outcome.error else "")
    await eventually(lambda: is_idle(comfy), "nothing of it runs")


async def test_a_value_out_of_range_is_named_with_its_node(comfy: Any) -> None:
    graph = inverted()
    graph["1"]["inputs"]["width"] = -5
    async with worker_for(comfy.url) as test:
        outcome = await run(test, graph)
    assert fault(outcome) == ("COMFY_REFUSED", False)
    assert outcome.error is not None
    assert outcome.error.message == "node 1 (EmptyImage): Value -5 smaller than min of 1: width"


async def test_a_node_that_fails_fails_the_step_for_good(comfy: Any) -> None:
    url = "http://storage.test/pictures/8/content"
    graph = {"1": node("LoadImage", image=url), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    async with worker_for(comfy.url) as test:
        outcome = await run(test, graph, files={url: b"not a picture"})
    assert fault(outcome) == ("COMFY_FAILED", False)
    assert outcome.error is not None
    assert "node 1 (LoadImage): " in outcome.error.message
    assert "Traceback" not in outcome.error.message


async def test_a_graph_that_no_server_can_run_is_sent_to_none(comfy: Any) -> None:
    unknown = {**inverted(), "2": node("NoSuchNode", image=["1", 0])}
    lacking = {**inverted(), "5": node("VAELoader", vae_name="ae.safetensors")}
    async with worker_for(comfy.url) as test:
        classes, file = await run(test, unknown), await run(test, lacking)
        listed = await run(test, inverted(), models=[{"kind": "checkpoints", "name": "x.safetensors"}])
    for outcome, words in ((classes, "node class NoSuchNode"), (file, "model ae.safetensors"), (listed, "model x.")):
        assert fault(outcome) == ("COMFY_UNSUITABLE", False)
        assert outcome.error is not None
        assert words in outcome.error.message


async def test_an_attempt_that_is_delivered_again_follows_its_run(comfy: Any) -> None:
    """As after the death of a worker: the graph does not run twice, and the files are the same."""
    sid = uuid4()
    async with worker_for(comfy.url) as test:
        first = await run(test, inverted(0x31), sid=sid)
        number = (await get(comfy, f"/history/{prompt_id(sid, 1)}"))[prompt_id(sid, 1)]["prompt"][0]
    async with worker_for(comfy.url) as test:
        again = await run(test, inverted(0x31), sid=sid)
        later = await run(test, inverted(0x31), sid=sid, attempt=2)
    assert first.status == again.status == later.status == "completed"
    assert list(first.files) == list(again.files) == list(later.files)
    assert (await get(comfy, f"/history/{prompt_id(sid, 1)}"))[prompt_id(sid, 1)]["prompt"][0] == number
    assert await get(comfy, f"/history/{prompt_id(sid, 2)}") == {}, "the earlier attempt's run is followed"


async def test_a_step_that_is_asked_for_anew_runs_again(comfy: Any) -> None:
    """As after a resume from `start`: what the discarded attempts have made is not taken."""
    sid = uuid4()
    async with worker_for(comfy.url) as test:
        await run(test, inverted(0x32), sid=sid)
        outcome = await run(test, inverted(0x32), sid=sid, attempt=2, discarded=1)
    assert outcome.status == "completed"
    assert prompt_id(sid, 2) in await get(comfy, f"/history/{prompt_id(sid, 2)}")


async def begun(comfy: Any, sid: Any, name: str = "queue_running") -> bool:
    return any(entry[1] == prompt_id(sid, 1) for entry in (await get(comfy, "/queue"))[name])


@pytest.fixture
def held(comfy: Any) -> Any:
    """The server does not get on with slow graphs until `gate` is set; a real one takes its time."""
    if not comfy.is_real:
        comfy.gate.clear()
    return comfy


def release(comfy: Any) -> None:
    if not comfy.is_real:
        comfy.gate.set()


async def test_cancelling_ends_the_run_that_runs(held: Any) -> None:
    sid = uuid4()
    async with worker_for(held.url) as test:
        step = start(test, slow(), sid=sid)
        await eventually(lambda: begun(held, sid), "it runs")
        step.cancel()
        assert fault(await step.outcome()) == ("CANCELLED", False)
        await eventually(lambda: is_idle(held), "the server does nothing any more")
    assert (await get(held, f"/history/{prompt_id(sid, 1)}"))[prompt_id(sid, 1)]["status"]["completed"] is False


async def test_cancelling_a_run_that_waits_leaves_the_one_that_runs(held: Any) -> None:
    runs, waits = uuid4(), uuid4()
    async with worker_for(f"{held.url}#2") as test:
        running = start(test, slow(), sid=runs)
        await eventually(lambda: begun(held, runs), "the first runs")
        waiting = start(test, slow(), sid=waits)
        await eventually(lambda: begun(held, waits, "queue_pending"), "the second waits")
        waiting.cancel()
        assert fault(await waiting.outcome()) == ("CANCELLED", False)
        assert not await begun(held, waits, "queue_pending")
        assert await begun(held, runs)
        release(held)
        assert (await running.outcome()).status == "completed"


async def test_cancelling_a_run_that_has_just_ended_cancels_nothing_else(comfy: Any) -> None:
    ended, runs = uuid4(), uuid4()
    async with worker_for(f"{comfy.url}#2") as test, aiohttp.ClientSession() as http:
        assert (await run(test, inverted(0x41), sid=ended)).status == "completed"
        if not comfy.is_real:
            comfy.gate.clear()
        running = start(test, slow(), sid=runs)
        await eventually(lambda: begun(comfy, runs), "another runs")
        await ComfyServer(comfy.url, http, "test").cancel(prompt_id(ended, 1))
        assert await begun(comfy, runs)
        release(comfy)
        assert (await running.outcome()).status == "completed"


async def test_a_worker_that_stops_leaves_its_run_to_the_next_one(held: Any) -> None:
    sid = uuid4()
    async with worker_for(held.url) as test:
        step = start(test, slow(), sid=sid)
        await eventually(lambda: begun(held, sid), "it runs")
        await step.hand_back()
        assert await begun(held, sid)
    async with worker_for(held.url) as test:
        step = start(test, slow(), sid=sid)
        await asyncio.sleep(0)
        release(held)
        assert (await step.outcome()).status == "completed"
