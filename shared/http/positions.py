"""Positions: how a client that has seen an answer is never shown anything older, by whatever replica or service.

Every answer to a write carries `Emprops-Position: <service>:<epoch>:<position>`, an opaque token for clients. A read
that brings one or several (in the same header, or as `?min_position=`) is answered when the tables that it reads show
all of that, or with 503 and Retry-After when they don't in time. Those of other services count where the answer speaks
of what they did: routes say so with `opt=following("generation")`.

Within one process no token is needed: a write is answered from the state that it made, and what is read afterwards
either comes from states, too (`opt=WITHOUT_TABLES`), or waits until the tables show the last write that was answered.

No route says 404 of what may only be on its way. While the tables do not show what this process has answered, a 404
from them is a 503. A route that follows another service first takes in everything that the other service had told by
then, and the question is asked again. While that can't be had: 503.
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
MAX_TOKENS = 16
"""Tokens that one request may bring."""
WAIT_SECONDS = 4.0
"""Seconds for which a read waits to be fresh enough: with what it does then, it answers within 5."""

SHOWN_WITHIN = 2.0
"""Seconds for which other reads wait for what this process answered last; then they answer what there is, no 404."""
WITHOUT_TABLES = {"tables": False}
"""The `opt` of a route that reads no tables: what it answers of aggregates is their state, which is never behind."""

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
    """The `opt` of a route whose answer speaks of what these services did."""
    return {"follows": frozenset(services)}


@lru_cache(maxsize=1024)
def parse_positions(text: str, pointer: str) -> Sequence[Position]:
    """Tokens with commas between them. Raises VALIDATION_FAILED at `pointer`."""
    tokens = [token.strip() for token in text.split(",")]
    found = [_TOKEN.fullmatch(token) for token in tokens]
    if len(tokens) > MAX_TOKENS or not all(found):
        message = f"must be what {HEADER} of an answer was; several with commas between them, {MAX_TOKENS} at most"
        raise invalid(f"{pointer} {message}", Detail(pointer, message))
    return tuple(Position(each["service"], int(each["epoch"]), int(each["number"])) for each in found if each)


def newest(positions: Iterable[Position]) -> dict[str, Position]:
    """The greatest of each service."""
    greatest: dict[str, Position] = {}
    for position in positions:
        if position > greatest.get(position.service, position._replace(epoch=0)):
            greatest[position.service] = position
    return greatest


def asked_for(scope: HTTPScope) -> dict[str, Position]:
    """What a request wants to be shown, by service. Raises VALIDATION_FAILED."""
    asked: list[Position] = []
    for name, value in scope["headers"]:
        if name == _RAW_HEADER:
            asked += parse_positions(value.decode("latin-1"), f"header:{HEADER}")
    if PARAMETER.encode() in scope["query_string"]:
        for key, given in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if key == PARAMETER:
                asked += parse_positions(given, f"?{PARAMETER}")
    return newest(asked)


class History(Protocol):
    """What a service knows of its own history, and of those that it follows."""

    service: str

    def position(self, number: int) -> Position:
        """The token of a position of its own."""

    async def shown(self, position: Position, within: float) -> bool:
        """Waits until its read tables show a position of its own; False after `within` seconds."""

    async def recorded(self, position: Position) -> bool:
        """Whether a position of its own is recorded, so that states show it. Raises VALIDATION_FAILED for others."""

    def answered(self, number: int) -> None:
        """A write was answered with this position."""

    async def shows_answered(self, within: float) -> bool:
        """Waits until its read tables show what this process has answered; False after `within` seconds."""

    async def arrived(self, position: Position, within: float) -> bool:
        """Waits until it shows what another service did up to a position; False after `within` seconds."""

    async def is_behind(self, services: Iterable[str], within: float) -> str | None:
        """Waits until what these services have told up to now is shown; the one of which it isn't then, or None."""


def freshness(history: History) -> Callable[[ASGIApp], ASGIApp]:
    """Litestar middleware, behind authentication: waits for what the request asks for, and says what it wrote."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def fresh(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            options = scope["route_handler"].opt
            follows: frozenset[str] = options.get("follows", frozenset())
            reads = scope["method"] in _READS
            from_tables = reads and options.get("tables", True)
            if asked := asked_for(scope):
                await _wait(history, asked, follows, reads=reads, from_tables=from_tables)
            is_fresh = not from_tables or await history.shows_answered(SHOWN_WITHIN)
            answering = _Answering(history, send)
            token = write_position.begin(answering.told)
            try:
                if reads and (follows or not is_fresh):
                    await app(_again(scope), receive, answering.unless_missing)
                    if not answering.missing:
                        return
                    if not is_fresh:
                        raise _not_shown()
                    if (behind := await history.is_behind(follows, WAIT_SECONDS)) is not None:
                        raise not_yet(behind)
                await app(scope, receive, answering.send)
            finally:
                write_position.end(token)

        return fresh

    return wrap


class _Answering:
    """One request's answer on its way out."""

    def __init__(self, history: History, send: Send) -> None:
        self.told = WritePosition()
        self.missing = False
        """Whether the answer was 404, and held back."""
        self._history, self._send = history, send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.told.position:
            self._history.answered(self.told.position)
            position = str(self._history.position(self.told.position)).encode()
            message["headers"] = [*message.get("headers", ()), (_RAW_HEADER, position)]
        await self._send(message)

    async def unless_missing(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NOT_FOUND:
            self.missing = True
        if not self.missing:
            await self.send(message)


def _again(scope: Scope) -> Scope:
    """A copy, since Litestar notes in it how far the request has come."""
    copied: Any = {**scope, "state": {**scope["state"]}}
    return cast("Scope", copied)


def not_yet(service: str) -> Problem:
    """Instead of a 404 that would be a lie."""
    return Problem("UNAVAILABLE", f"What {service} told last is not known here yet; try again in a moment")


async def _wait(
    history: History, asked: Mapping[str, Position], follows: frozenset[str], *, reads: bool, from_tables: bool
) -> None:
    """Raises UNAVAILABLE when it takes too long. A command reads its own service's history, which is never behind."""

    def wait(service: str, position: Position) -> Awaitable[bool]:
        if service != history.service:
            return history.arrived(position, WAIT_SECONDS)
        return history.shown(position, WAIT_SECONDS) if from_tables else history.recorded(position)

    waits = [
        wait(service, position)
        for service, position in asked.items()
        if (service == history.service and reads) or service in follows
    ]
    if waits and not (await waits[0] if len(waits) == 1 else all(await asyncio.gather(*waits))):
        raise _not_shown()


def _not_shown() -> Problem:
    return Problem("UNAVAILABLE", "What you have been answered is not shown here yet; try again in a moment")
