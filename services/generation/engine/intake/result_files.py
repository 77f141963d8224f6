"""A result's files as storage describes them, in place of what the worker states."""

import msgspec

from services.generation.domain.generation.result_checks import MAX_OUTPUTS
from services.generation.tables.stored_files import StoredFiles
from shared.contracts.generation import Output, StepError
from shared.contracts.work import WorkResult


async def with_stored_files(result: WorkResult, stored_files: StoredFiles) -> WorkResult:
    """The result with each file as storage described it.

    A file with another sha256 than the worker stated makes it a failed attempt. Raises UnknownFile.
    """
    if len(result.outputs) > MAX_OUTPUTS:
        return result  # the decision refuses it for their number
    paths = [output.path for output in result.outputs if output.path is not None and _is_own_file(output, result)]
    files = await stored_files.get(result.sid, paths)
    outputs: list[Output] = []
    for output in result.outputs:
        record = files.get(output.path) if output.path is not None else None
        if record is not None and output.sha256 not in (None, record.sha256):
            message = f"The worker states another sha256 of the file {output.path} than storage computed"
            error = StepError("INVALID_RESULT", message, retryable=False)
            return msgspec.structs.replace(result, outputs=[], error=error)
        outputs.append(record if record is not None else _without_claims(output))
    return msgspec.structs.replace(result, outputs=outputs)


def names_files(result: WorkResult) -> bool:
    """Whether storage may have events of a file in it."""
    return any(_is_own_file(output, result) for output in result.outputs)


def without_claims(result: WorkResult) -> WorkResult:
    """The result without the members that only storage can know."""
    return msgspec.structs.replace(result, outputs=[_without_claims(output) for output in result.outputs])


def _is_own_file(output: Output, result: WorkResult) -> bool:
    """Whether its path is below the step's own; any other path is refused by the decision, without a query."""
    return output.kind == "asset" and f"/{result.job_id}/{result.gid}/{result.sid}/" in (output.path or "")


def _without_claims(output: Output) -> Output:
    match output.kind:
        case "asset":
            return Output(kind="asset", path=output.path)
        case "text":
            return Output(kind="text", text=output.text)
        case "json":
            return Output(kind="json", json=output.json)
