"""Files that an answer names: streamed from public addresses into a temporary file, and from there to storage."""

import asyncio
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
from yarl import URL

from shared.public_addresses import BadRedirect, NotAllowed, PublicAddresses, fetched
from workers.kit.faults import StepFault, permanent, transient

CHUNK = 256 * 1024
SILENT_SECONDS = 30.0
"""Without a byte for so long, a server counts as silent."""
NOT_YET = frozenset({404, 408, 425, 429})
"""Another try may find the file: some APIs name it before it is there."""
UNSPECIFIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class Downloads:
    """`http` must resolve names with PublicResolver; `max_bytes` bounds each file. No secret goes to them."""

    def __init__(self, http: aiohttp.ClientSession, addresses: PublicAddresses, max_bytes: int) -> None:
        self._http, self._addresses, self._max_bytes = http, addresses, max_bytes

    async def to_file(self, address: str, path: Path) -> str:
        """Writes the file to `path`, and returns its media type. Raises StepFault."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENT_SECONDS)
        options: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "timeout": timeout}
        try:
            url = URL(address)
            async with fetched(self._http, self._addresses, url, **options) as response:
                if response.status != 200:
                    raise _refusal(response.url, response.status)
                await self._write(response, path)
                stated = response.content_type if "Content-Type" in response.headers else ""
                return media_type(stated, response.url.path, path)
        except NotAllowed as error:
            raise permanent("API_ADDRESS", f"The API's file can't be fetched: {error}") from None
        except BadRedirect as error:
            raise permanent("API_FILE", f"The API's file {error}") from None
        except ValueError:  # InvalidURL is one, too
            raise permanent("API_FILE", "The API's answer names a file by a text that is not a URL") from None
        except aiohttp.ClientConnectorError as error:
            raise transient("API_UNAVAILABLE", f"{error.host}, which has the API's file, can't be reached") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            kind = type(error).__name__
            raise transient("API_UNAVAILABLE", f"The server did not send the API's file ({kind})") from None

    async def _write(self, response: aiohttp.ClientResponse, path: Path) -> None:
        too_large = permanent("API_FILE", f"The API's file has more than {self._max_bytes} bytes")
        if (response.content_length or 0) > self._max_bytes:
            raise too_large
        size = 0
        with path.open("wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > self._max_bytes:
                    raise too_large
                await asyncio.to_thread(file.write, chunk)


def _refusal(url: URL, status: int) -> StepFault:
    sentence = f"{url.host} answered {status} when asked for the API's file"
    return (
        transient("API_UNAVAILABLE", sentence)
        if status >= 500 or status in NOT_YET
        else permanent("API_FILE", sentence)
    )


MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"\x1aE\xdf\xa3": "video/webm",
    b"OggS": "audio/ogg",
    b"ID3": "audio/mpeg",
    b"%PDF-": "application/pdf",
}
"""How files of these types begin."""
RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}


def media_type(stated: str, name: str, path: Path) -> str:
    """The type that the server states; if it states none, that of the first bytes, or of the name's ending."""
    if stated not in UNSPECIFIC_TYPES:
        return stated
    with path.open("rb") as file:
        beginning = file.read(16)
    return type_of(beginning) or mimetypes.guess_type(unquote(name))[0] or "application/octet-stream"


def type_of(beginning: bytes) -> str | None:
    """The media type that a file's first 16 bytes tell."""
    if beginning[:4] == b"RIFF":
        return RIFF.get(beginning[8:12])
    if beginning[4:8] == b"ftyp":
        return (
            "video/quicktime"
            if beginning[8:10] == b"qt"
            else "image/avif"
            if beginning[8:12] == b"avif"
            else "video/mp4"
        )
    return next((kind for magic, kind in MAGIC.items() if beginning.startswith(magic)), None)
