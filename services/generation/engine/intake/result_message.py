"""Reading the messages of RESULTS, within bounds: results, and checkpoints."""

from typing import Any

import msgspec

from shared.contracts.generation import StepError
from shared.contracts.work import MAX_CHECKPOINT, Checkpoint, WorkResult

MAX_BODY = 1_000_000
"""Bytes of a message."""
MAX_MESSAGE = 2_000
"""Characters of an error's message; the rest is cut."""
MAX_CODE = 100
"""Characters of an error's code; the rest is cut."""

_decoder = msgspec.json.Decoder(WorkResult)
_checkpoint_decoder = msgspec.json.Decoder(Checkpoint)


class _Message(msgspec.Struct):
    """The member by which a checkpoint and a result differ."""

    message: str = ""


_message_decoder = msgspec.json.Decoder(_Message)


class MalformedResult(Exception):  # noqa: N818 - names what was found
    """A message that is neither a WorkResult nor a Checkpoint."""


def read_checkpoint(body: bytes) -> Checkpoint | None:
    """The checkpoint in a message; None for a message of another kind. Raises MalformedResult."""
    try:
        if _message_decoder.decode(body).message != "checkpoint":
            return None
        checkpoint = _checkpoint_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedResult(f"the message is neither a result nor a checkpoint: {error}") from error
    if len(msgspec.json.encode(checkpoint.checkpoint)) > MAX_CHECKPOINT:
        raise MalformedResult(f"the checkpoint has more than {MAX_CHECKPOINT} bytes")
    if b"\\u0000" in body and _has_nul(checkpoint.checkpoint):
        raise MalformedResult("the checkpoint contains the character U+0000")
    return checkpoint


def read_result(body: bytes) -> WorkResult:
    """The result in a message. One that can't be recorded becomes a failed attempt. Raises MalformedResult."""
    try:
        result = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedResult(f"the message is not a result: {error}") from error
    step_error: StepError | None = None
    if len(body) > MAX_BODY:
        step_error = StepError("INVALID_RESULT", f"The result is larger than {MAX_BODY} bytes", retryable=False)
    elif b"\\u0000" in body and _has_nul(msgspec.json.decode(body)):
        # PostgreSQL can store it neither as text nor as jsonb.
        step_error = StepError("INVALID_RESULT", "The result contains the character U+0000", retryable=False)
    elif result.status == "failed":
        reported = result.error or StepError("STEP_FAILED", "The worker reported no error", retryable=False)
        step_error = StepError(reported.code[:MAX_CODE], reported.message[:MAX_MESSAGE], reported.retryable)
    return msgspec.structs.replace(result, error=step_error, outputs=[] if step_error else result.outputs)


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, dict):
            stack.extend((*item.keys(), *item.values()))
        elif isinstance(item, list):
            stack.extend(item)
    return False
