"""A message is read within bounds: what can't be stored is a failed attempt, what is no result is malformed."""

from uuid import UUID

import msgspec
import pytest

from services.generation.engine.intake.result_message import MalformedResult, read_result
from shared.contracts.generation import Output, StepError
from shared.contracts.work import WorkResult

IDS = (UUID(int=1), UUID(int=2), UUID(int=3))


def said(status="completed", outputs=(), error=None):
    return read_result(msgspec.json.encode(WorkResult(*IDS, 1, status, list(outputs), error)))


def test_a_result_is_what_was_said():
    """Outputs of a success, the error of a failure."""
    text = Output(kind="text", text="a fox")
    assert (said(outputs=[text]).outputs, said(outputs=[text]).error) == ([text], None)
    error = StepError("BUSY", "later", retryable=True)
    assert said("failed", error=error).error == error


def test_a_failure_has_an_error_and_no_outputs():
    """Also when the worker gave none, or both."""
    result = said("failed", [Output(kind="text", text="x")])
    assert (result.outputs, result.error.code, result.error.retryable) == ([], "STEP_FAILED", False)


def test_an_error_is_cut_to_a_readable_length():
    """A stack trace of megabytes is no message."""
    error = said("failed", error=StepError("C" * 500, "m" * 10_000, retryable=False)).error
    assert (len(error.code), len(error.message)) == (100, 2_000)


@pytest.mark.parametrize("output", [Output(kind="text", text="a\0"), Output(kind="json", json={"a": ["\0"]})])
def test_u0000_fails_the_attempt(output):
    """It can't be stored; the two characters that write it can."""
    assert said(outputs=[output]).error.code == "INVALID_RESULT"
    assert said(outputs=[Output(kind="text", text="\\u0000")]).error is None


def test_a_result_that_is_too_large_fails_the_attempt():
    """It must fit into an event."""
    assert said(outputs=[Output(kind="text", text="x" * 1_000_000)]).error.code == "INVALID_RESULT"


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"\xff", b"[" * 5000, b'{"job_id": 1}'])
def test_anything_else_is_malformed(body):
    """With the reason."""
    with pytest.raises(MalformedResult, match="the message is not a result"):
        read_result(body)
