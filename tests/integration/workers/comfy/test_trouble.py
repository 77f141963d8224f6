"""What goes wrong with a ComfyUI server while a graph runs, on the stand-in."""

import asyncio
import io
import math
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from tests.integration.workers.comfy.conftest import worker_for
from tests.support.comfy.graphs import inverted, node
from tests.support.comfy.standin import StandIn
from tests.support.patience import eventually
from workers.comfy.handler import prompt_id
from workers.kit.testing import Outcome, RunningStep, WorkerTest


def start(test: WorkerTest, graph: Any, **options: Any) -> RunningStep:
    return test.start("comfy", {"graph": graph, "models": []}, seconds=250.0, workflow_type="comfy_workflow", **options)


async def run(test: WorkerTest, graph: Any, **options: Any) -> Outcome:
    return await start(test, graph, **options).outcome()


def code(outcome: Outcome) -> str:
    assert outcome.error is not None, outcome
    return outcome.error.code


async def test_a_socket_that_hears_nothing_delays_a_step_and_no_more(standin: StandIn) -> None:
    standin.sockets_are_silent = True
    async with worker_for(standin.url) as test:
        assert (await run(test, inverted())).status == "completed"


async def test_a_socket_that_is_lost_in_a_run_is_opened_again(standin: StandIn) -> None:
    standin.gate.clear()
    async with worker_for(standin.url) as test:
        step = start(test, inverted())
        await eventually(lambda: standin.running is not None, "it runs")
        await standin.drop_sockets()
        await eventually(lambda: standin.requests.count("GET /ws") > 1, "the socket is opened again")
        standin.gate.set()
        assert (await step.outcome()).status == "completed"


async def test_a_server_that_was_restarted_gets_the_run_again_under_its_id(standin: StandIn) -> None:
    standin.gate.clear()
    sid = uuid4()
    async with worker_for(standin.url) as test:
        step = start(test, inverted(), sid=sid)
        await eventually(lambda: standin.running is not None, "it runs")
        await standin.restart()
        standin.gate.set()
        outcome = await step.outcome()
    assert outcome.status == "completed"
    assert len(outcome.files) == 1
    assert standin.submissions == [prompt_id(sid, 1)] * 2


async def test_a_server_that_was_made_anew_gets_the_pictures_again(standin: StandIn) -> None:
    """An upload to the server that is just ending fails, and is repeated."""
    url = "http://storage.test/pictures/1/content"
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "PNG")
    graph = {"1": node("LoadImage", image=url), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    standin.gate.clear()
    async with worker_for(standin.url, patience=30.0) as test:
        step = start(test, graph, files={url: content.getvalue()})
        await eventually(lambda: standin.running is not None, "it runs")
        standin.inputs.clear()
        await standin.restart()
        standin.gate.set()
        assert (await step.outcome()).status == "completed"


async def test_a_server_whose_history_is_lost_runs_the_graph_again(standin: StandIn) -> None:
    """The worker sees no event and no entry of the first run; the second one is the same, and comes from the cache."""
    standin.sockets_are_silent = True
    standin.gate.clear()
    async with worker_for(standin.url) as test:
        step = start(test, inverted())
        await eventually(lambda: standin.running is not None, "it runs")
        standin.lose_next_history = True
        standin.gate.set()
        outcome = await step.outcome()
    assert outcome.status == "completed"
    assert len(standin.submissions) == 2
    assert len(standin.files) == 1


async def test_a_submission_whose_answer_is_lost_is_not_sent_twice(standin: StandIn) -> None:
    standin.lose_answers = 1
    async with worker_for(standin.url) as test:
        assert (await run(test, inverted())).status == "completed"
    assert len(standin.submissions) == 1


async def test_a_server_that_stays_away_fails_the_attempt_and_another_may_succeed(standin: StandIn) -> None:
    standin.gate.clear()
    async with worker_for(standin.url, comfy_away_seconds=1.0) as test:
        step = start(test, inverted())
        await eventually(lambda: standin.running is not None, "it runs")
        await standin.close()
        outcome = await step.outcome()
        await standin.open(int(standin.url.rsplit(":", 1)[1]))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("COMFY_UNAVAILABLE", True)


async def test_nan_in_an_answer_is_read(standin: StandIn) -> None:
    standin.notes = {"scores": [math.nan, math.inf]}
    async with worker_for(standin.url) as test:
        assert (await run(test, inverted())).status == "completed"


async def test_a_result_of_40_mb_is_stored(standin: StandIn) -> None:
    standin.file_bytes = bytes(range(256)) * (40 * 4096)
    async with worker_for(standin.url) as test:
        (content,) = (await run(test, inverted())).files.values()
    assert content == standin.file_bytes


async def test_a_result_above_the_limit_fails_the_step(standin: StandIn) -> None:
    standin.file_bytes = b"x" * 5000
    async with worker_for(standin.url, comfy_output_max_bytes=4999) as test:
        assert code(await run(test, inverted())) == "OUTPUT_TOO_LARGE"
        standin.file_bytes = b"x" * 4999
        assert (await run(test, inverted())).status == "completed"


async def test_too_many_outputs_fail_the_step(standin: StandIn) -> None:
    async with worker_for(standin.url, comfy_max_outputs=3) as test:
        assert (await run(test, inverted(count=3))).status == "completed"
        assert code(await run(test, inverted(count=4))) == "OUTPUT_TOO_LARGE"


async def test_audio_and_gifs_come_back(standin: StandIn) -> None:
    """ComfyUI's own audio nodes need libraries that a CPU server may lack; `gifs` is what the video nodes fill."""
    graph = {
        "1": node("EmptyAudio", duration=1.0, sample_rate=44100, channels=2),
        "2": node("SaveAudio", audio=["1", 0], filename_prefix="x"),
    }
    standin.files["output", "", "clip.gif"] = b"GIF89a"
    standin.notes = {"gifs": [{"filename": "clip.gif", "subfolder": "", "type": "output", "format": "image/gif"}]}
    async with worker_for(standin.url) as test:
        outcome = await run(test, graph)
    assert [output.mime_type for output in outcome.outputs] == ["audio/flac", "image/gif"]
    assert list(outcome.files.values()) == [b"fLaC", b"GIF89a"]


async def test_files_that_are_gone_fail_the_attempt_and_the_next_one_makes_them(standin: StandIn) -> None:
    sid = uuid4()
    async with worker_for(standin.url) as test:
        assert (await run(test, inverted(), sid=sid)).status == "completed"
        standin.files.clear()
        outcome = await run(test, inverted(), sid=sid)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.retryable) == ("COMFY_FILE_LOST", True)
        assert (await run(test, inverted(), sid=sid, attempt=2)).status == "completed"


async def test_an_older_server_without_jobs_is_asked_by_queue_and_history(standin: StandIn) -> None:
    """Its /interrupt ends whatever runs, so cancelling a run that waits must not send one."""
    standin.knows_jobs = False
    standin.gate.clear()
    async with worker_for(f"{standin.url}#2") as test:
        running = start(test, inverted(1))
        await eventually(lambda: standin.running is not None, "the first runs")
        waiting = start(test, inverted(2))
        await eventually(lambda: len(standin.pending) == 1, "the second waits")
        waiting.cancel()
        assert code(await waiting.outcome()) == "CANCELLED"
        standin.gate.set()
        assert (await running.outcome()).status == "completed"


async def test_a_step_that_is_cancelled_while_its_graph_is_submitted_leaves_nothing_behind(standin: StandIn) -> None:
    """The server has the request, and not the run yet: it is cancelled once the server has answered."""
    standin.gate.clear()
    standin.answers.clear()
    async with worker_for(standin.url) as test:
        step = start(test, inverted())
        await eventually(lambda: standin.submissions, "the server has the graph")
        step.cancel()
        asyncio.get_running_loop().call_later(0.5, standin.answers.set)
        assert code(await step.outcome()) == "CANCELLED"
        await standin.answers.wait()
        await eventually(lambda: standin.running is None and not standin.pending, "nothing runs or waits")


async def test_the_deadline_ends_the_run_on_the_server(standin: StandIn) -> None:
    standin.gate.clear()
    async with worker_for(standin.url) as test:
        step = test.start("comfy", {"graph": inverted()}, seconds=1.0, workflow_type="comfy_workflow")
        assert code(await step.outcome()) == "DEADLINE_EXCEEDED"
        await eventually(lambda: standin.running is None, "nothing runs")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "/graph: is required"),
        ({"graph": {}}, "/graph: has no nodes"),
        ({"graph": {"1": {"inputs": {}}}}, "class_type"),
        ({"graph": inverted(), "models": [{"kind": "vae"}]}, "/models: "),
    ],
)
async def test_a_payload_that_is_no_graph_is_refused_with_where(
    standin: StandIn, payload: dict[str, Any], words: str
) -> None:
    async with worker_for(standin.url) as test:
        outcome = await test.run("comfy", payload, workflow_type="comfy_workflow")
    assert code(outcome) == "VALIDATION_FAILED"
    assert outcome.error is not None
    assert words in outcome.error.message
    assert not standin.submissions
