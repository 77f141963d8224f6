"""A small client of the public API, for the demonstration and the end-to-end tests."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from shared.backoff import Backoff


class ApiError(Exception):
    """The error body of a refused request. `method`: the request's."""

    def __init__(self, status: int, body: Any, method: str = "GET") -> None:
        self.status, self.method = status, method
        self.body = body if isinstance(body, dict) else {}
        self.code: str = self.body.get("code", "")
        super().__init__(f"{status} {self.code}: {self.body.get('detail', body)}")


class Event(msgspec.Struct, frozen=True):
    """One server-sent event; `id` is None for events that the server does not record, such as progress."""

    event: str
    data: dict[str, Any]
    id: str | None = None


class Client:
    """`async with Client(url, token)`: sends JSON, returns the envelope's `data`. Raises ApiError for 4xx and 5xx."""

    def __init__(self, url: str, token: str, *, answers_within: float = 60.0) -> None:
        """`answers_within`: seconds per request; for a download, between two chunks."""
        self.url, self._seconds = url.rstrip("/"), answers_within
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use it in `async with`"
        return self._session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self._answer(method, path, body, **headers)
        return answer.get("data") if isinstance(answer, dict) else answer

    async def _answer(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        all_headers = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        async with self.session.request(method, self._at(path), data=data, headers=all_headers) as response:
            text = await response.read()
            try:
                answer = msgspec.json.decode(text) if text else {}
            except msgspec.DecodeError:
                answer = {"detail": text[:200].decode(errors="replace")}
            if response.status >= 400:
                raise ApiError(response.status, answer, method)
            return answer

    async def get(self, path: str) -> Any:
        return await self.call("GET", path)

    async def items(self, path: str) -> AsyncIterator[Any]:
        """Every item of a paginated list."""
        address = path
        while True:
            page = await self._answer("GET", address)
            for item in page["data"]:
                yield item
            if page["next_cursor"] is None:
                return
            address = f"{path}{'&' if '?' in path else '?'}cursor={page['next_cursor']}"

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return await self.call("POST", path, {} if body is None else body, **headers)

    async def download(self, path: str, to: Path) -> str:
        """Streams a file to disk; returns the sha256 of the bytes received."""
        digest = hashlib.sha256()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._seconds, sock_read=self._seconds)
        async with self.session.get(self._at(path), timeout=timeout) as response:
            if response.status >= 400:
                raise ApiError(response.status, await response.json(content_type=None))
            with to.open("wb") as file:
                async for chunk in response.content.iter_chunked(256 * 1024):
                    digest.update(chunk)
                    file.write(chunk)
        return digest.hexdigest()

    async def events(self, path: str) -> AsyncIterator[Event]:
        """Server-sent events until the server ends the stream; a lost connection resumes with `Last-Event-ID`."""
        last: str | None = None
        backoff = Backoff("events", on=(aiohttp.ClientError, TimeoutError), quiet=True)
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                timeout = aiohttp.ClientTimeout(total=None, sock_read=45)
                async with self.session.get(self._at(path), headers=headers, timeout=timeout) as response:
                    if response.status == 204:
                        return
                    if response.status >= 500:
                        raise aiohttp.ClientPayloadError(f"status {response.status}")
                    if response.status >= 400:
                        raise ApiError(response.status, await response.json(content_type=None))
                    async for event in _parse(response.content):
                        last = event.id or last
                        yield event
                    return
            except (aiohttp.ClientError, TimeoutError) as error:
                await backoff.pause(error)

    def _at(self, path: str) -> str:
        return path if path.startswith("http") else self.url + path


async def _parse(lines: aiohttp.StreamReader) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif "data" in fields:
            yield Event(fields.get("event", "message"), msgspec.json.decode(fields["data"]), fields.get("id"))
            fields = {}
