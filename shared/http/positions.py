"""Read your writes: no response, of any replica or service, is older than what the client has been sent before.

Every response to a write has the header `Emprops-Position: <service>:<epoch>:<position>`, an opaque token for clients.
A read that sends one or several of them (in the same header, or as `?min_position=`) waits until the tables that it
reads have reached them; after WAIT_SECONDS it is answered 503 with Retry-After. Tokens of other services count on
routes whose responses depend on these services, which have `opt=following("generation")`.

Within one process no token is needed. A write is answered from the state that it made. A read that follows is answered
from states, too (`opt=WITHOUT_TABLES`), or waits until the tables have reached the last write that was answered.

A 404 is only sent when it is certain. While the tables have not reached what this process has answered, a 404 from them
becomes a 503. On a route that follows another service, the read is repeated once this service has handled all events
that the other one had published by then; if that takes too long, the response is 503.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.contracts.problem import Detail, Problem, invalid
from shared.eventstore import write_position
from shared.eventstore.write_position import WritePosition

HEADER = "Emprops-Position"
PARAMETER = "min_position"
LAG_POINTER = f"header:{HEADER}"
"""The pointer in the details of a 503 by which a client tells that only the tables are behind."""
MAX_TOKENS = 16
"""Tokens that one request may send."""
WAIT_SECONDS = 4.0
"""Seconds for which a read waits for the positions that it asks for; with its own work it ends within 5."""
SHOWN_WITHIN = 2.0
"""Seconds for which other reads wait for the last write that this process answered; then they may be older, but are
never 404."""
WITHOUT_TABLES = {"tables": False}
"""The `opt` of a route that reads no tables, but the states of aggregates, which are always current."""

_RAW_HEADER = HEADER.lower().encode()
_TOKEN = re.compile(r"(?P<service>[a-z]{1,32}):(?P<epoch>[1-9][0-9]{0,8}):(?P<number>0|[1-9][0-9]{0,17})", re.ASCII)
_READS = frozenset({"GET", "HEAD"})


class Position(NamedTuple):
    """A place in a service's history. Within one service, later ones are greater."""

    service: str
    epoch: int
    number: int

    def __str__(self) -> str:
        return f"{self.service}:{self.epoch}:{self.number}"


def following(*services: str) -> dict[str, Any]:
    """The `opt` of a route whose responses depend on events of these services."""
    return {"follows": frozenset(services)}


@lru_cache(maxsize=1024)
def parse_positions(text: str, pointer: str) -> Sequence[Position]:
    """The positions in comma-separated tokens. Raises VALIDATION_FAILED at `pointer`."""
    tokens = [token.strip() for token in text.split(",")]
    matches = [_TOKEN.fullmatch(token) for token in tokens]
    if len(tokens) > MAX_TOKENS or not all(matches):
        message = f"must be the {HEADER} of a response, or up to {MAX_TOKENS} of them, separated by commas"
        raise invalid(f"{pointer} {message}", Detail(pointer, message))
    return tuple(Position(match["service"], int(match["epoch"]), int(match["number"])) for match in matches if match)


def newest(positions: Iterable[Position]) -> dict[str, Position]:
    """The greatest of each service."""
    greatest: dict[str, Position] = {}
    for position in positions:
        if position > greatest.get(position.service, position._replace(epoch=0)):
            greatest[position.service] = position
    return greatest


def wanted_positions(scope: HTTPScope) -> dict[str, Position]:
    """The positions that a request asks for, by service. Raises VALIDATION_FAILED."""
    positions: list[Position] = []
    for name, value in scope["headers"]:
        if name == _RAW_HEADER:
            positions += parse_positions(value.decode("latin-1"), f"header:{HEADER}")
    if PARAMETER.encode() in scope["query_string"]:
        for key, tokens in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if key == PARAMETER:
                positions += parse_positions(tokens, f"?{PARAMETER}")
    return newest(positions)


class History(Protocol):
    """How far a service's own history and its read tables have come, and those of the services that it follows."""

    service: str

    def position(self, number: int) -> Position:
        """The token of a position of its own."""

    async def wait_until_shown(self, position: Position, within: float) -> bool:
        """Waits until its read tables show a position of its own; False after `within` seconds."""

    async def wait_until_recorded(self, position: Position) -> bool:
        """Waits until a position of its own is recorded, so that states show it. Raises VALIDATION_FAILED."""

    def note_answer(self, number: int) -> None:
        """Records that a write was answered with this position."""

    async def wait_for_answers(self, within: float) -> bool:
        """Waits until its read tables show all that this process has answered; False after `within` seconds."""

    async def wait_until_arrived(self, position: Position, within: float) -> bool:
        """Waits until its tables show another service's events up to a position; False after `within` seconds."""

    async def first_behind(self, services: Iterable[str], within: float) -> str | None:
        """Waits until its tables show the events that these services have published by now.

        Returns the first service whose events are not shown after `within` seconds, or None.
        """


def freshness(history: History) -> Callable[[ASGIApp], ASGIApp]:
    """Litestar middleware, after authentication: reads wait for positions, responses to writes state theirs."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def fresh(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            options = scope["route_handler"].opt
            follows: frozenset[str] = options.get("follows", frozenset())
            reads = scope["method"] in _READS
            from_tables = reads and options.get("tables", True)
            if positions := wanted_positions(scope):
                await _wait(history, positions, follows, reads=reads, from_tables=from_tables)
            is_fresh = not from_tables or await history.wait_for_answers(SHOWN_WITHIN)
            response = _Response(history, send)
            token = write_position.begin(response.write_position)
            try:
                if reads and (follows or not is_fresh):
                    await app(_copy(scope), receive, response.send_unless_missing)
                    if not response.is_missing:
                        return
                    if not is_fresh:
                        raise _not_shown()
                    if (behind := await history.first_behind(follows, WAIT_SECONDS)) is not None:
                        raise not_yet_handled(behind)
                await app(scope, receive, response.send)
            finally:
                write_position.end(token)

        return fresh

    return wrap


class _Response:
    """Sends the response of one request."""

    def __init__(self, history: History, send: Send) -> None:
        self.write_position = WritePosition()
        self.is_missing = False
        """Whether it was 404, and therefore not sent."""
        self._history, self._send = history, send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.write_position.position:
            self._history.note_answer(self.write_position.position)
            position = str(self._history.position(self.write_position.position)).encode()
            message["headers"] = [*message.get("headers", ()), (_RAW_HEADER, position)]
        await self._send(message)

    async def send_unless_missing(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NOT_FOUND:
            self.is_missing = True
        if not self.is_missing:
            await self.send(message)


def _copy(scope: Scope) -> Scope:
    """A copy, because the request may be handled a second time, and Litestar records its progress in the scope."""
    copied: Any = {**scope, "state": {**scope["state"]}}
    return cast("Scope", copied)


def not_yet_handled(service: str) -> Problem:
    """UNAVAILABLE in place of a 404, while events of another service are not handled that may concern the object."""
    detail = f"The latest events of {service} are not shown here yet; try again in a moment"
    return Problem("UNAVAILABLE", detail, Detail(LAG_POINTER, f"the latest events of {service} are not shown yet"))


async def _wait(
    history: History, positions: Mapping[str, Position], follows: frozenset[str], *, reads: bool, from_tables: bool
) -> None:
    """Raises UNAVAILABLE when it takes too long. A command reads its own service's history, which is never behind."""

    def wait(service: str, position: Position) -> Awaitable[bool]:
        if service != history.service:
            return history.wait_until_arrived(position, WAIT_SECONDS)
        if not from_tables:
            return history.wait_until_recorded(position)
        return history.wait_until_shown(position, WAIT_SECONDS)

    waits = [
        wait(service, position)
        for service, position in positions.items()
        if (service == history.service and reads) or service in follows
    ]
    if waits and not (await waits[0] if len(waits) == 1 else all(await asyncio.gather(*waits))):
        raise _not_shown()


def _not_shown() -> Problem:
    detail = "The tables do not show yet what you were answered before; try again in a moment"
    return Problem("UNAVAILABLE", detail, Detail(LAG_POINTER, "is not shown yet"))
