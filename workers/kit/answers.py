"""Converts HTTP errors to StepFaults: which are retryable, and which are permanent."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from workers.kit.faults import StepFault, permanent, transient

T = TypeVar("T")
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
MAX_ANSWER = 1024 * 1024
"""Bytes that are read of an answer that is no file."""
TRANSIENT_STATUSES = frozenset({408, 425, 429})
"""Besides all from 500 on."""
CLOCK_WORDS = ("expired", "not valid yet", "clock")
"""In an answer 401, they mean that the token was refused for its time only: another attempt may succeed."""


async def classified(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns; errors of aiohttp are raised as StepFaults whose messages begin with `what`."""
    try:
        return await call()
    except TimeoutError as error:
        raise transient("UNAVAILABLE", f"{what}: the other side did not answer in time") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise permanent("INPUT_REFUSED", f"{what}: is not an address") from error
    except (aiohttp.ClientError, OSError) as error:
        raise transient("UNAVAILABLE", f"{what}: the connection failed ({type(error).__name__})") from error


async def refusal(response: aiohttp.ClientResponse, what: str, code: str) -> StepFault:
    """The fault of an error response, with the server's message. `code`: that of a permanent fault."""
    detail = _detail(await response.content.read(MAX_ANSWER))
    message = f"{what}: {response.status}{f' {detail}' if detail else ''}"
    if response.status == 401 and any(word in detail for word in CLOCK_WORDS):
        return transient("CLOCK_SKEW", f"{message}: a clock is wrong, or the work took too long")
    if response.status >= 500 or response.status in TRANSIENT_STATUSES:
        return transient("UNAVAILABLE", message)
    return permanent(code, message)


def _detail(body: bytes) -> str:
    """The message of a problem document (RFC 9457), or of `error`: a text, or an object with a `message`."""
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    error = document.get("error")
    words = document.get("detail") or (error.get("message") if isinstance(error, dict) else error)
    return str(words or "")[:300]


async def post_json(
    url: str, body: Any, *, headers: Mapping[str, str] | None = None, what: str = "call", seconds: float = 60.0
) -> Any:
    """POSTs JSON and returns the JSON answer, of 1 MiB at most. Raises StepFault: REFUSED if no retry would help.

    Does not retry: `Step.retry(lambda: post_json(…))` does. `what` is in the messages; `seconds` bounds the whole call.
    """

    async def call() -> Any:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=msgspec.json.encode(body), headers=dict(headers or {}) | JSON) as response,
        ):
            if not response.ok:
                raise await refusal(response, what, "REFUSED")
            content = await _read_at_most(response, MAX_ANSWER, what)
            try:
                return msgspec.json.decode(content)
            except msgspec.DecodeError as error:
                raise transient("UNAVAILABLE", f"{what}: the answer is not JSON") from error

    return await classified(what, call)


async def _read_at_most(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            raise permanent("ANSWER_TOO_LARGE", f"{what}: the answer has more than {limit} bytes")
    return bytes(content)
