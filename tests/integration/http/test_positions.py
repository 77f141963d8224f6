"""Who has been answered is not shown anything older: positions, waited for by the services that speak of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from litestar import get, post

from shared.contracts.problem import not_found
from shared.eventstore.write_position import note
from shared.http import Authenticator, Envelope, Issuer, create_app
from shared.http.positions import WITHOUT_TABLES, Position, following
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer


@dataclass
class PlayedHistory:
    """A service's history as the test says it is."""

    service: str = "drafts"
    shown_up_to: int = 0
    arrived_up_to: int = 0
    recorded_up_to: int = 0
    answered_with: int = 0
    asked_for_answered: int = 0
    behind: bool = False
    waited: list[Position] = field(default_factory=list)
    known: bool = False
    """Whether what routes look for is there; comes true when what was behind has been waited for."""

    def position(self, number: int) -> Position:
        return Position(self.service, 1, number)

    async def wait_until_shown(self, position: Position, within: float) -> bool:
        self.waited.append(position)
        return position.number <= self.shown_up_to

    async def wait_until_recorded(self, position: Position) -> bool:
        return position.number <= self.recorded_up_to

    def note_answer(self, number: int) -> None:
        self.answered_with = number

    async def wait_for_answers(self, within: float) -> bool:
        self.asked_for_answered += 1
        return self.answered_with <= self.shown_up_to

    async def wait_until_arrived(self, position: Position, within: float) -> bool:
        self.waited.append(position)
        return position.number <= self.arrived_up_to

    async def first_behind(self, services: Any, within: float) -> str | None:
        self.known = not self.behind
        return "jobs" if self.behind else None


HISTORY = PlayedHistory()


@post("/drafts")
async def make() -> Envelope[str]:
    note(7)
    return Envelope("made")


@get("/drafts")
async def read() -> Envelope[str]:
    return Envelope("read")


@get("/drafts/one", opt=WITHOUT_TABLES)
async def read_one() -> Envelope[str]:
    return Envelope("read")


@get("/drafts/new")
async def read_new() -> Envelope[str]:
    raise not_found("The draft")


@get("/tokens", opt=following("jobs"))
async def read_token() -> Envelope[str]:
    if not HISTORY.known:
        raise not_found("The token")
    return Envelope("token")


@dataclass
class Client:
    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, seen: str | None = None) -> tuple[int, Any, Any]:
        headers = {**self.headers, **({"Emprops-Position": seen} if seen is not None else {})}
        async with self.session.request(method, self.url + path, headers=headers) as response:
            return response.status, response.headers, await response.json(content_type=None)


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    issuer = TokenIssuer()
    HISTORY.__init__()  # type: ignore[misc]  # as it was at the beginning
    app = create_app(
        title="Drafts",
        route_handlers=[make, read, read_one, read_new, read_token],
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path))], AUDIENCE),
        history=HISTORY,
    )
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield Client(session, url, issuer.bearer(uuid4()))


async def test_a_write_says_where_it_stands(client: Client) -> None:
    """And a read, which writes nothing, does not."""
    status, headers, _ = await client.ask("POST", "/drafts")
    assert (status, headers["Emprops-Position"]) == (201, "drafts:1:7")
    _, headers, _ = await client.ask("GET", "/drafts")
    assert "Emprops-Position" not in headers


async def test_a_read_is_as_fresh_as_it_asks_for_or_503(client: Client) -> None:
    """By header and by query; the greatest of several counts."""
    for seen, path in (("drafts:1:7", "/drafts"), (None, "/drafts?min_position=drafts:1:7,drafts:1:2")):
        HISTORY.shown_up_to = 6
        status, headers, body = await client.ask("GET", path, seen)
        assert (status, body["code"], headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
        assert [detail["pointer"] for detail in body["details"]] == ["header:Emprops-Position"]
        HISTORY.shown_up_to = 7
        assert (await client.ask("GET", path, seen))[0] == 200


async def test_only_what_an_answer_speaks_of_is_waited_for(client: Client) -> None:
    """A command reads the history itself; and what another service did counts where the route follows it."""
    seen = "drafts:1:9, jobs:1:9"
    assert (await client.ask("POST", "/drafts", seen))[0] == 201
    assert HISTORY.waited == []
    HISTORY.shown_up_to = 9
    assert (await client.ask("GET", "/drafts", seen))[0] == 200
    assert (await client.ask("GET", "/tokens", seen))[0] == 503
    HISTORY.arrived_up_to, HISTORY.known = 9, True
    assert (await client.ask("GET", "/tokens", seen))[0] == 200


async def test_what_was_answered_is_waited_for_without_a_token(client: Client) -> None:
    """By reads of tables; a read of a state needs no wait, with a token neither, once that is recorded."""
    await client.ask("POST", "/drafts")
    assert HISTORY.answered_with == 7
    assert (await client.ask("GET", "/drafts"))[0] == 200
    assert HISTORY.asked_for_answered == 1
    assert (await client.ask("GET", "/drafts/one"))[0] == 200
    assert (await client.ask("GET", "/drafts/one", "drafts:1:7"))[0] == 503
    HISTORY.recorded_up_to = 7
    assert (await client.ask("GET", "/drafts/one", "drafts:1:7"))[0] == 200
    assert (HISTORY.asked_for_answered, HISTORY.waited) == (1, [])


async def test_a_table_that_is_behind_says_no_404(client: Client) -> None:
    """What it does not show may be what was answered; everything else is answered as it is shown."""
    assert (await client.ask("POST", "/drafts"))[0] == 201
    status, headers, body = await client.ask("GET", "/drafts/new")
    assert (status, body["code"], headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert (await client.ask("GET", "/drafts"))[0] == 200
    HISTORY.shown_up_to = 7
    assert (await client.ask("GET", "/drafts/new"))[0] == 404


async def test_a_404_is_no_lie(client: Client) -> None:
    """What may be on its way is waited for and asked again: 503 while it can't be had, 404 when it isn't there."""
    HISTORY.behind = True
    assert (await client.ask("GET", "/tokens"))[0] == 503
    HISTORY.behind = False
    status, _, body = await client.ask("GET", "/tokens")
    assert (status, body) == (200, {"data": "token", "error": None})


NO_POSITIONS = ["", "7", "drafts:0:7", "drafts:1:07", "drafts:1:+7", "Drafts:1:7", "drafts:1:7,", "x" * 99]


@pytest.mark.parametrize("seen", NO_POSITIONS)
async def test_a_position_that_is_none_is_refused(client: Client, seen: str) -> None:
    status, _, body = await client.ask("GET", "/drafts", seen)
    assert (status, [each["pointer"] for each in body["details"]]) == (400, ["header:Emprops-Position"])
