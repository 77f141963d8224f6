"""From the values of an API's answer to a step's outputs: files are stored, texts and JSON values stay as they are."""

import asyncio
import base64
import binascii
import hashlib
import mimetypes
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shared.contracts.generation import Output
from workers.http_api.api_run import Answer, ApiResult
from workers.http_api.downloads import Downloads, type_of
from workers.http_api.redaction import Redaction
from workers.kit import File, Json
from workers.kit.faults import permanent

MAX_TEXT = 100_000
"""Characters of a text output; a longer one is stored as a file."""
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*?)(;base64)?,", re.ASCII)
MIN_BASE64 = 64
ENDINGS = {"image/jpeg": ".jpg", "audio/mpeg": ".mp3", "audio/wav": ".wav", "text/plain": ".txt", "image/webp": ".webp"}
"""Where `mimetypes` knows several, or none."""


class Outputs:
    """Of one attempt. `store` uploads a file, `fetch` repeats a download that may succeed later."""

    def __init__(
        self,
        downloads: Downloads,
        redaction: Redaction,
        store: Callable[[File], Awaitable[Output]],
        fetch: Callable[[Callable[[], Awaitable[str]]], Awaitable[str]],
    ) -> None:
        self._downloads, self._redaction, self._store, self._fetch = downloads, redaction, store, fetch

    async def of(self, result: ApiResult) -> list[str | Json | Output]:
        """In the order of the answer. Raises StepFault."""
        with tempfile.TemporaryDirectory(prefix="http-api-") as folder:
            if result.content is not None:
                return [await self._content(result.content, Path(folder))]
            return [
                await self._value(value, number, Path(folder)) for number, value in enumerate(result.values, start=1)
            ]

    async def _value(self, value: Any, number: int, folder: Path) -> str | Json | Output:
        if not isinstance(value, str):
            return Json(self._redaction.json(value))
        path = folder / str(number)
        if value.startswith(("http://", "https://")):
            kind = await self._fetch(lambda: self._downloads.to_file(value, path))
            return await self._stored(path, kind, number)
        if (embedded := embedded_file(value)) is not None:
            await asyncio.to_thread(path.write_bytes, embedded[0])
            return await self._stored(path, embedded[1], number)
        return await self._text(value, number, path)

    async def _content(self, answer: Answer, folder: Path) -> str | Output:
        path = folder / "1"
        if answer.content_type.startswith("text/"):
            return await self._text(answer.body.decode(errors="replace"), 1, path)
        await asyncio.to_thread(path.write_bytes, answer.body)
        stated = answer.content_type
        kind = type_of(answer.body[:16]) if stated == "application/octet-stream" else stated
        return await self._stored(path, kind or stated, 1)

    async def _text(self, text: str, number: int, path: Path) -> str | Output:
        text = self._redaction.text(text)
        if len(text) <= MAX_TEXT:
            return text
        await asyncio.to_thread(path.write_text, text)
        return await self._stored(path, "text/plain", number)

    async def _stored(self, path: Path, kind: str, number: int) -> Output:
        """Under a name that has the content's digest: another attempt may get another file from the API."""
        size, digest = await asyncio.to_thread(_measured, path)
        if not size:
            raise permanent("API_FILE", "The API's file is empty")
        ending = ENDINGS.get(kind) or mimetypes.guess_extension(kind) or ".bin"
        output = await self._store(File(f"output-{number}-{digest[:12]}{ending}", kind, path))
        await asyncio.to_thread(path.unlink)
        return output


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return content.tell(), digest


def embedded_file(text: str) -> tuple[bytes, str] | None:
    """The content and the type of a file that the text itself holds: a data: URL, or an image or sound in base64."""
    if (header := DATA_URL.match(text)) is not None and header[3]:
        content = _decoded(text[header.end() :])
        return None if content is None else (content, header[1] or "application/octet-stream")
    if len(text) < MIN_BASE64:
        return None
    beginning = _decoded(text[:24])
    kind = type_of(beginning) if beginning else None
    content = _decoded(text) if kind else None
    return None if content is None or kind is None else (content, kind)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
