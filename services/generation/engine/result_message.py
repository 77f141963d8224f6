"""What a worker's message says: a result within bounds, or nothing that is one."""

from typing import Any

import msgspec

from shared.contracts.generation import StepError
from shared.contracts.work import WorkResult

MAX_BODY = 1_000_000
MAX_MESSAGE = 2_000

_decoder = msgspec.json.Decoder(WorkResult)


class Malformed(Exception):  # noqa: N818 - names what was found
    """A message that is no result."""


def read_result(body: bytes) -> WorkResult:
    """What a worker says, within bounds. A result that can't be kept counts as failed; Malformed is no result."""
    try:
        result = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"this is no result: {error}") from error
    error_: StepError | None = None
    if len(body) > MAX_BODY:
        error_ = StepError("INVALID_RESULT", f"The result is larger than {MAX_BODY} bytes", retryable=False)
    elif b"\\u0000" in body and _has_nul(msgspec.json.decode(body)):
        # PostgreSQL's text and jsonb can't hold it.
        error_ = StepError("INVALID_RESULT", "The result contains the character U+0000", retryable=False)
    elif result.status == "failed":
        said = result.error or StepError("STEP_FAILED", "The worker did not say why", retryable=False)
        error_ = StepError(said.code[:100], said.message[:MAX_MESSAGE], said.retryable)
    return msgspec.structs.replace(result, error=error_, outputs=[] if error_ else result.outputs)


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            if "\0" in each:
                return True
        elif isinstance(each, dict):
            stack.extend((*each.keys(), *each.values()))
        elif isinstance(each, list):
            stack.extend(each)
    return False
