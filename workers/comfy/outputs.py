"""Makes the step's outputs of a server's files: through a temporary file, whatever their size."""

import contextlib
import hashlib
import mimetypes
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from workers.comfy import answers
from workers.comfy.answers import Outcome
from workers.comfy.server import ComfyServer, Unavailable
from workers.kit import File, Output, Step, permanent, transient

MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".glb": "model/gltf-binary",
    ".m4a": "audio/mp4",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
"""Of names whose type Python does not know, or knows from the machine's own tables."""
OTHER = "application/octet-stream"


async def store_outputs(step: Step, server: ComfyServer, outcome: Outcome, *, max_bytes: int) -> list[Output | str]:
    """The outputs, each file in storage. Raises StepFault."""
    outputs: list[Output | str] = []
    for number, file in enumerate(outcome.files, start=1):
        async with _fetched(step, server, file, max_bytes) as (path, digest):
            # The digest makes the name one of this content: another attempt, whose file may differ, gets another.
            suffix = PurePosixPath(file.filename).suffix.lower()
            name = f"output-{number}-{digest[:12]}{suffix}"
            outputs.append(await step.upload(File(name, media_type(file.filename), path)))
        await step.progress(0.9 + 0.1 * number / len(outcome.files), "storing")
    return [*outputs, *outcome.texts]


def media_type(filename: str) -> str:
    """The media type, from the name's extension."""
    suffix = PurePosixPath(filename).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0] or OTHER


@contextlib.asynccontextmanager
async def _fetched(
    step: Step, server: ComfyServer, file: answers.File, max_bytes: int
) -> AsyncIterator[tuple[Path, str]]:
    """Downloads the file for the length of a block; yields its path and sha256."""
    with tempfile.NamedTemporaryFile(prefix="comfy-output-") as here:
        path = Path(here.name)
        digest = await step.retry(lambda: _fetch(server, file, path, max_bytes), "fetching an output")
        yield path, digest


async def _fetch(server: ComfyServer, file: answers.File, path: Path, max_bytes: int) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("wb") as content:
            async for chunk in server.view(file):
                size += len(chunk)
                if size > max_bytes:
                    raise permanent("OUTPUT_TOO_LARGE", f"{file.filename} has more than {max_bytes} bytes")
                digest.update(chunk)
                content.write(chunk)
    except Unavailable as error:
        raise transient("COMFY_UNAVAILABLE", f"{file.filename} can't be read: {error}"[:500]) from error
    return digest.hexdigest()
