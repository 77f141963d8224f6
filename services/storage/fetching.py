"""Images from the web: fetched on a user's behalf, from public addresses only, bounded in size and time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import unquote

import aiohttp
from yarl import URL

from services.storage.domain.paths import clean_name
from shared.content.media import kind_of
from shared.contracts.problem import Detail, Problem, invalid
from shared.public_addresses import BadRedirect, NotAllowed, PublicAddresses, PublicResolver, fetched

CHUNK = 64 * 1024
FIRST_BYTES = 4096
"""Bytes by which an image is recognised; a server may send them in several parts."""
MAX_URL = 2000
"""Characters."""
UNNAMED = "image"
"""The name of a file whose URL ends without one that storage takes."""


class Image(NamedTuple):
    """`mime_type` is that of its first bytes, whatever the server states; `body` raises as `Fetcher.image` does."""

    mime_type: str
    body: AsyncIterator[bytes]


class Fetcher:
    """`max_bytes` bounds an image, `seconds` its fetch with all redirects, `at_once` the fetches of this process."""

    def __init__(self, addresses: PublicAddresses, *, max_bytes: int, seconds: float, at_once: int) -> None:
        self._addresses, self._max_bytes, self._seconds = addresses, max_bytes, seconds
        self._slots = asyncio.Semaphore(at_once)

    @contextlib.asynccontextmanager
    async def image(self, url: URL) -> AsyncIterator[Image]:
        """The image at this URL, within the time. Raises VALIDATION_FAILED at `/url` if it can't be had."""
        try:
            async with (
                asyncio.timeout(self._seconds) as bound,
                self._slots,
                self._session() as session,
                fetched(session, self._addresses, url) as response,
            ):
                if response.status != 200:
                    raise _refusal(f"can't be read: {response.host} answered {response.status}")
                chunks = response.content.iter_chunked(CHUNK)
                start = b""
                while len(start) < FIRST_BYTES and (chunk := await anext(chunks, b"")):
                    start += chunk
                if not (kind := kind_of(start)).startswith("image/"):
                    raise _refusal("is not an image: what it has begins as no type of image does")
                yield Image(kind, self._bounded(start, chunks, bound))
        except TimeoutError as error:
            raise _refusal(f"was not sent within {self._seconds:g} s") from error
        except NotAllowed as error:
            raise _refusal(f"is not fetched: {error}") from error
        except BadRedirect as error:
            raise _refusal(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise _refusal(f"can't be read: {error.host} can't be reached") from error
        except aiohttp.ClientError as error:
            raise _refusal(f"can't be read: the connection failed ({type(error).__name__})") from error

    def _session(self) -> aiohttp.ClientSession:
        """Without cookies, proxies and .netrc; each fetch has its own, so that no connection outlives its checks."""
        connector = aiohttp.TCPConnector(resolver=PublicResolver(self._addresses))
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "emprops", "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )

    async def _bounded(
        self, start: bytes, chunks: AsyncIterator[bytes], bound: asyncio.Timeout
    ) -> AsyncIterator[bytes]:
        """The whole image; after its last byte, the time of the fetch is over, and no longer bounds what follows."""
        size = len(start)
        yield start
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max_bytes:
                raise _refusal(f"has more than {self._max_bytes} bytes")
            yield chunk
        bound.reschedule(None)


def checked_url(text: str) -> URL:
    """The URL of an image. Raises VALIDATION_FAILED at `/url` for a text that is no http or https URL."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or len(text) > MAX_URL:
        raise _refusal(f"must be the http or https URL of an image, of at most {MAX_URL} characters")
    return url


def name_of(url: URL) -> str:
    """The file's name: the end of the URL's path, if files may have that name."""
    try:
        return clean_name(unquote(url.raw_name), "/url")
    except Problem:
        return UNNAMED


def _refusal(message: str) -> Problem:
    return invalid(f"The image {message}", Detail("/url", message))
