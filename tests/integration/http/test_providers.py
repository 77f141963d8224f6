"""Dependencies are resolved in sequence, and only those that a handler needs."""

from pathlib import Path

import aiohttp
from litestar import get, post
from litestar.di import NamedDependency

from shared.http import Authenticator, Issuer, create_app
from shared.http.providers import Provider
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

Text = NamedDependency[str]
OPEN = {"public": True}


@get("/things", opt=OPEN)
async def takes_nothing() -> list[str]:
    return []


@post("/things", opt=OPEN)
async def takes_one(second: Text) -> list[str]:
    return [second]


@get("/others", opt=OPEN)
async def takes_what_takes_another(third: Text, name: Text) -> list[str]:
    return [third, name]


async def test_only_the_dependencies_of_a_handler_are_resolved(tmp_path: Path) -> None:
    """Also if two handlers have the same path, or two applications the same handler."""
    resolved: list[str] = []

    def first() -> str:
        resolved.append("first")
        return "first"

    async def second() -> str:
        resolved.append("second")
        return "second"

    def third(first: Text) -> str:
        resolved.append("third")
        return f"third after {first}"

    issuer = TokenIssuer()
    authenticator = Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path))], AUDIENCE)
    providers: dict[str, Provider] = {"first": first, "second": second, "third": third}
    for name in ("one", "two"):
        app = create_app(
            title="x",
            route_handlers=[takes_nothing, takes_one, takes_what_takes_another],
            authenticator=authenticator,
            dependencies={"name": name, "unused": object()},
            providers=providers,
        )
        async with serving(app) as url, aiohttp.ClientSession() as session:

            async def ask(method: str, path: str, url: str = url, session: aiohttp.ClientSession = session) -> object:
                resolved.clear()
                async with session.request(method, url + path) as response:
                    return await response.json(), list(resolved)

            assert await ask("GET", "/things") == ([], [])
            assert await ask("POST", "/things") == (["second"], ["second"])
            assert await ask("GET", "/others") == (["third after first", name], ["first", "third"])
