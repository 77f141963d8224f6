"""Read your writes: reads wait for the positions that a client sends, and for what the process has answered."""

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
class FakeHistory:
    """A history whose state a test sets."""

    service: str = "drafts"
    shown_up_to: int = 0
    arrived_up_to: int = 0
    recorded_up_to: int = 0
    answered_with: int = 0
    asked_for_answered: int = 0
    behind: bool = False
    waited: list[Position] = field(default_factory=list)
    exists: bool = False
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
        self.exists = not self.behind
        return "jobs" if self.behind else None


HISTORY = FakeHistory()


@post("/drafts")
async def make() -> Envelope[str]:
    note(7)
    return Envelope("made")


@get("/drafts")
async def list_drafts() -> Envelope[str]:
    return Envelope("read")


@get("/drafts/one", opt=WITHOUT_TABLES)
async def read_one() -> Envelope[str]:
    return Envelope("read")


@get("/drafts/new")
async def read_new() -> Envelope[str]:
    raise not_found("The draft")


@get("/tokens", opt=following("jobs"))
async def read_token() -> Envelope[str]:
    if not HISTORY.exists:
        raise not_found("The token")
    return Envelope("token")


@dataclass
class Client:
    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, positions: str | None = None) -> tuple[int, Any, Any]:
        headers = {**self.headers, **({"Emprops-Position": positions} if positions is not None else {})}
        async with self.session.request(method, self.url + path, headers=headers) as response:
            return response.status, response.headers, await response.json(content_type=None)


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    issuer = TokenIssuer()
    HISTORY.__init__()  # type: ignore[misc]  # as it was at the beginning
    app = create_app(
        title="Drafts",
        route_handlers=[make, list_drafts, read_one, read_new, read_token],
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path))], AUDIENCE),
        history=HISTORY,
    )
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield Client(session, url, issuer.bearer(uuid4()))


async def test_the_response_to_a_write_has_its_position(client: Client) -> None:
    """A read's response has none."""
    status, headers, _ = await client.ask("POST", "/drafts")
    assert (status, headers["Emprops-Position"]) == (201, "drafts:1:7")
    _, headers, _ = await client.ask("GET", "/drafts")
    assert "Emprops-Position" not in headers


async def test_a_read_waits_for_its_positions_or_is_503(client: Client) -> None:
    """In the header and in the query; the greatest of several counts."""
    for positions, path in (("drafts:1:7", "/drafts"), (None, "/drafts?min_position=drafts:1:7,drafts:1:2")):
        HISTORY.shown_up_to = 6
        status, headers, body = await client.ask("GET", path, positions)
        assert (status, body["code"], headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
        assert [detail["pointer"] for detail in body["details"]] == ["header:Emprops-Position"]
        HISTORY.shown_up_to = 7
        assert (await client.ask("GET", path, positions))[0] == 200


async def test_only_positions_that_the_response_depends_on_are_waited_for(client: Client) -> None:
    """Commands read their own service's history directly; positions of others count on routes that follow them."""
    positions = "drafts:1:9, jobs:1:9"
    assert (await client.ask("POST", "/drafts", positions))[0] == 201
    assert HISTORY.waited == []
    HISTORY.shown_up_to = 9
    assert (await client.ask("GET", "/drafts", positions))[0] == 200
    assert (await client.ask("GET", "/tokens", positions))[0] == 503
    HISTORY.arrived_up_to, HISTORY.exists = 9, True
    assert (await client.ask("GET", "/tokens", positions))[0] == 200


async def test_reads_of_tables_wait_for_the_last_answered_write(client: Client) -> None:
    """Without a token. Reads of states need no wait; with a token, only until the position is recorded."""
    await client.ask("POST", "/drafts")
    assert HISTORY.answered_with == 7
    assert (await client.ask("GET", "/drafts"))[0] == 200
    assert HISTORY.asked_for_answered == 1
    assert (await client.ask("GET", "/drafts/one"))[0] == 200
    assert (await client.ask("GET", "/drafts/one", "drafts:1:7"))[0] == 503
    HISTORY.recorded_up_to = 7
    assert (await client.ask("GET", "/drafts/one", "drafts:1:7"))[0] == 200
    assert (HISTORY.asked_for_answered, HISTORY.waited) == (1, [])


async def test_a_table_that_is_behind_answers_503_instead_of_404(client: Client) -> None:
    """Other responses are sent as they are."""
    assert (await client.ask("POST", "/drafts"))[0] == 201
    status, headers, body = await client.ask("GET", "/drafts/new")
    assert (status, body["code"], headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert (await client.ask("GET", "/drafts"))[0] == 200
    HISTORY.shown_up_to = 7
    assert (await client.ask("GET", "/drafts/new"))[0] == 404


async def test_a_404_is_sent_only_when_it_is_certain(client: Client) -> None:
    """What may still arrive is waited for and read again; 503 if that takes too long."""
    HISTORY.behind = True
    assert (await client.ask("GET", "/tokens"))[0] == 503
    HISTORY.behind = False
    status, _, body = await client.ask("GET", "/tokens")
    assert (status, body) == (200, {"data": "token", "error": None})


NO_POSITIONS = ["", "7", "drafts:0:7", "drafts:1:07", "drafts:1:+7", "Drafts:1:7", "drafts:1:7,", "x" * 99]


@pytest.mark.parametrize("positions", NO_POSITIONS)
async def test_a_malformed_position_is_rejected(client: Client, positions: str) -> None:
    status, _, body = await client.ask("GET", "/drafts", positions)
    assert (status, [detail["pointer"] for detail in body["details"]]) == (400, ["header:Emprops-Position"])
