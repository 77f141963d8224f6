"""What a ComfyUI answers, as it was recorded, and what the worker makes of it."""

import json
from typing import Any

import pytest

from tests.support.comfy.standin import FIXTURES
from workers.comfy.answers import File, history_run, outcome_of, read_json, refusal
from workers.comfy.servers import Address, parse_urls


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / "recorded" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing_input", "node 1 (EmptyImage): Required input is missing: width"),
        ("value_too_small", "node 1 (EmptyImage): Value -5 smaller than min of 1: width"),
        ("load_missing_image", "node 1 (LoadImage): Custom validation failed for node: image - Invalid image file"),
        ("one_bad_branch_200_with_node_errors", "node 4 (SaveImage): Exception when validating node: '98'"),
        ("unknown_class", "Cannot execute because node NoSuchNode does not exist.: Node ID '#2'"),
        ("no_outputs", "Prompt has no outputs"),
        ("cycle", "Prompt outputs failed validation"),
    ],
)
def test_a_refusal_is_for_good_and_says_why(name: str, words: str) -> None:
    answer = recorded(name)["prompt"]
    fault = refusal(answer["status"], answer["body"])
    assert fault is not None
    assert not fault.retryable
    assert fault.error.message.startswith(words)


def test_a_server_that_fails_by_itself_is_asked_again() -> None:
    answer = recorded("prompt_not_json")
    fault = refusal(answer["status"], None)
    assert fault is not None
    assert fault.retryable


def test_a_graph_that_is_accepted_is_no_refusal() -> None:
    answer = recorded("success")["prompt"]
    assert refusal(answer["status"], answer["body"]) is None


def test_a_history_tells_what_was_made_and_what_was_interrupted() -> None:
    success, interrupted = recorded("success"), recorded("queue_delete_interrupt")
    run = history_run(success["request"]["prompt_id"], success["history"]["body"])
    assert run is not None
    assert run.outputs is not None
    assert [file.filename for file in outcome_of(run.outputs).files] == ["rec_00001_.png", "rec_00002_.png"]
    ended = history_run(interrupted["running"], interrupted["history"]["body"])
    assert ended is not None
    assert ended.fault is not None
    assert (ended.state, ended.fault.error.code, ended.fault.retryable) == ("interrupted", "COMFY_INTERRUPTED", True)
    assert history_run("another", success["history"]["body"]) is None


@pytest.mark.parametrize(
    ("message", "retryable"),
    [("CUDA error: out of memory", True), ("Connection reset", True), ("tuple index out of range", False)],
)
def test_a_nodes_failure_may_pass_or_not(message: str, retryable: bool) -> None:  # noqa: FBT001 - a parameter
    error = {"node_id": "3", "node_type": "KSampler", "exception_message": message, "traceback": ["secret.py"]}
    entry = {"outputs": {}, "status": {"status_str": "error", "messages": [["execution_error", error]]}}
    run = history_run("x", {"x": entry})
    assert run is not None
    assert run.fault is not None
    assert run.fault.retryable is retryable
    assert run.fault.error.message == f"node 3 (KSampler): {message}"


def test_outputs_are_files_and_texts_without_previews_latents_and_what_is_displayed() -> None:
    def file(name: str, kind: str = "output") -> dict[str, str]:
        return {"filename": name, "subfolder": "s", "type": kind}

    outputs = {
        "1": {"images": [file("a.png"), file("p.png", "temp")], "animated": [False]},
        "2": {"gifs": [file("b.mp4")], "audio": [file("c.flac")], "latents": [file("d.latent")]},
        "3": {"text": ["kept"]},
        "4": {"text": ["displayed"]},
    }
    outcome = outcome_of(outputs, {"4"})
    assert outcome.files == [File(name, "s", "output") for name in ("a.png", "b.mp4", "c.flac")]
    assert outcome.texts == ["kept"]
    only = outcome_of({"4": outputs["4"], "5": {"images": [file("p.png", "temp")]}}, {"4"})
    assert ([item.filename for item in only.files], only.texts) == (["p.png"], ["displayed"])


def test_nan_and_infinity_become_null() -> None:
    assert read_json('{"a": NaN, "b": [Infinity, -Infinity, 1]}') == {"a": None, "b": [None, None, 1]}


def test_addresses_may_say_how_many_runs_a_server_takes() -> None:
    addresses = parse_urls(" http://a:8188, https://b.example/comfy#3 ,", slots=2)
    assert addresses == [Address("http://a:8188", 2), Address("https://b.example/comfy", 3)]
