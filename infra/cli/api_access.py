"""For commands that call the public API as an operator: that of a set on this machine, or of another edge."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import click

from infra.cli.development_tokens import issue_token
from infra.cli.options import Command, fail, open_running_set
from infra.demo.client import ApiError, Client

ANSWERS_WITHIN = 60.0
"""Seconds per request."""
TOKEN_SECONDS = 3_600
UNAVAILABLE = 503
UNCHANGED = "nothing was changed, since a dry run changes nothing: try again in a moment"
UNCERTAIN = "it may have been done or not: run the command again"

Work = Callable[[Client], Awaitable[Any]]


def server_options(command: Command) -> Command:
    """Parameters `data`, `url` and `token`, for `call_api`."""
    folder = click.Path(file_okay=False, path_type=Path)
    for option in (
        click.option("--token", help="With --url: an operator's token."),
        click.option("--url", help="A running edge, instead of a folder."),
        click.option("--data", type=folder, metavar="DIR", help="The folder of a set that runs here."),
    ):
        command = option(command)
    return command


def call_api(
    data: Path | None, url: str | None, token: str | None, work: Work, *, changes_nothing: bool = False
) -> Any:
    """Returns what `work` returns. Ends the command if the server can't be reached, or refuses a request.

    `changes_nothing`: a dry run, whatever becomes of it. The edge does not know that of a POST whose answer is missing.
    """
    if data is not None and url is None and token is None:
        file = open_running_set(data)
        url = file.url
        token, _ = issue_token(file, roles=("user", "operator"), ttl=TOKEN_SECONDS)
    elif data is not None or url is None or token is None:
        fail("give --data DIR, or --url URL with an operator's --token", code=2)

    async def go() -> Any:
        async with Client(url, token, answers_within=ANSWERS_WITHIN) as client:
            return await work(client)

    try:
        return asyncio.run(go())
    except ApiError as error:
        if error.status == UNAVAILABLE and error.code == "UNAVAILABLE" and error.method != "GET":
            fail(f"a service does not answer; {UNCHANGED if changes_nothing else UNCERTAIN}")
        _refused(error)
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{url} does not answer: {type(error).__name__}" + (f"; {UNCHANGED}" if changes_nothing else ""))


def amount(number: float) -> str:
    """Credits to 6 decimals, without zeros at the end."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _refused(error: ApiError) -> NoReturn:
    details = error.body.get("details") or []
    fail(
        error.body.get("detail") or str(error),
        *(f"{detail.get('pointer')}: {detail.get('message')}" for detail in details),
    )
