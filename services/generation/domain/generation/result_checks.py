"""Checks of a worker's result."""

from collections.abc import Sequence

from shared.contracts import sizes
from shared.contracts.generation import Output, StepError
from shared.contracts.sizes import encoded_size

MAX_OUTPUTS = 100
MAX_TEXT = 100_000
"""Characters of one text output."""
MAX_FIELD = 4_000
"""Characters of any other field of an output."""


def result_fault(outputs: Sequence[Output], prefix: str, size: int = 0) -> StepError | None:
    """Why a completed attempt counts as failed, or None. `size`: bytes of the outputs of the generation's other steps.

    A result has at least one output. A file must be below the step's own `prefix`: its worker may write nowhere else,
    and the file becomes the user's artwork. No such fault is retryable, since another attempt would have it too.
    """
    if not outputs:
        return _invalid("the result has no outputs")
    if len(outputs) > MAX_OUTPUTS:
        return _invalid(f"the result has {len(outputs)} outputs; at most {MAX_OUTPUTS} are allowed")
    if size + encoded_size(outputs) > sizes.MAX_OUTPUTS:
        return _invalid(f"the generation's outputs take more than {sizes.MAX_OUTPUTS} bytes as JSON")
    for index, output in enumerate(outputs):
        fault = _output_fault(output, prefix)
        if fault is not None:
            return _invalid(f"output {index} {fault}")
    return None


def _output_fault(output: Output, prefix: str) -> str | None:
    fields = (output.path, output.url, output.mime_type, output.sha256)
    if any(field is not None and len(field) > MAX_FIELD for field in fields):
        return f"has a field of more than {MAX_FIELD} characters"
    if output.kind == "asset":
        if not output.path or not _is_below(output.path, prefix):
            return f"is not a file below {prefix}"
        if not output.url or output.asset_id is None:
            return "is a file without its url or asset_id"
    if output.kind == "text" and output.text is None:
        return "is a text output without its text"
    if output.kind == "text" and output.text is not None and len(output.text) > MAX_TEXT:
        return f"is a text of more than {MAX_TEXT} characters"
    return None


def _is_below(path: str, prefix: str) -> bool:
    rest = path.removeprefix(prefix)
    return rest != path and all(part not in ("", ".", "..") for part in rest.split("/")) and "\\" not in path


def _invalid(message: str) -> StepError:
    return StepError(code="INVALID_RESULT", message=message, retryable=False)
