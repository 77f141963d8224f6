"""`emprops demo`."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import aiohttp
import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli.development_tokens import issue_token
from infra.cli.escaping import cell, escape_json
from infra.cli.options import command_line, examples, fail, folder, json_option, open_set
from infra.demo.client import ApiError, Client
from infra.demo.journey import DemoResult, Reporter, Stalled, journey
from infra.embedded.process import ProcessSpec, launch_command
from infra.embedded.set_lock import is_held

ANSWERS_WITHIN = 20.0
"""Seconds per request: the edge answers a command within 15, with 503 at the latest."""


@click.command(
    epilog=examples(
        "emprops demo",
        "emprops demo --data data/set --generations 8",
        'emprops demo --url http://127.0.0.1:8080 --token "$(emprops token --data data/set --role operator)" --json',
    )
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="A set's folder; one that is not running is started for the demo [default: data/demo].",
)
@click.option("--url", help="A running edge, instead of a folder.")
@click.option("--token", help="With --url: a user's token; an operator's can grant itself the credits.")
@click.option("--generations", type=click.IntRange(1, 1000), default=4, show_default=True, help="How many artworks.")
@json_option
def demo(data: Path | None, url: str | None, token: str | None, generations: int, *, as_json: bool) -> None:
    """Create a collection, generate it, download the files, show what it cost; all through the public API.

    Exits with 0 only if the job completed and each downloaded file has the sha256 that the API reports.
    """
    if (url is None) != (token is None) or (url is not None and data is not None):
        fail("give --data DIR, or --url URL with --token T", code=2)
    if url is not None and not url.startswith(("http://", "https://")):
        fail(f"--url {url} is not an address such as http://127.0.0.1:8080", code=2)
    console, served = Console(stderr=as_json, soft_wrap=True), url
    home = None if url is not None else folder(data or Path("data/demo"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        if url is not None and token is not None:  # so there is no folder
            user_id, roles = _claims(token)
            operator_token = token if "operator" in roles else None
            result = _run(url, token, operator_token, user_id, Path("data/demo/files"), generations, console)
        else:
            assert home is not None
            served = open_set(home).url if is_held(home) else None
            with _running_set(home, console) as edge:
                tokens = _development_tokens(home)
                result = _run(edge, tokens[0], tokens[1], tokens[2], home / "files", generations, console)
    except ApiError as error:
        what_to_do = f". {_see_status(home)}" if error.status >= 500 else ""
        fail(f"the API refused a request: {error}{what_to_do}")
    except Stalled as stalled:
        fail(f"{stalled}. {_see_status(home)}")
    except (aiohttp.ClientError, TimeoutError):
        fail(f"the edge{f' at {served}' if served else ''} can't be reached. {_see_status(home)}")
    except OSError as error:
        fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    if as_json:
        click.echo(escape_json(result))
    else:
        _show(result, console)
        _show_next(result.job_id, console, data or (None if url else Path("data/demo")), served)
    raise SystemExit(0 if result.succeeded else 1)


def _end(number: int, _frame: object) -> None:
    """Raises, as Ctrl-C does, so that `finally` blocks stop the set that the demo started."""
    raise SystemExit(128 + number)


def _run(
    url: str,
    token: str,
    operator_token: str | None,
    user_id: str,
    files: Path,
    generations: int,
    console: Console,
) -> DemoResult:
    bar = Progress(
        TextColumn("  generating"),
        BarColumn(bar_width=40),
        TextColumn("{task.percentage:>3.0f} %  {task.description}"),
        TimeElapsedColumn(),
        console=console,
    )
    task = bar.add_task("waiting", total=1.0, visible=False)

    async def go() -> DemoResult:
        report = Reporter(
            say=lambda sentence: console.print(cell(f"  {sentence}")),
            progress=lambda share, text: bar.update(task, completed=share, description=text, visible=True),
        )
        async with contextlib.AsyncExitStack() as clients:
            client = partial(Client, url, answers_within=ANSWERS_WITHIN)
            user = await clients.enter_async_context(client(token))
            operator = await clients.enter_async_context(client(operator_token)) if operator_token else None
            return await journey(user, operator, user_id, files, generations, report)

    with bar:
        return asyncio.run(go())


@contextlib.contextmanager
def _running_set(data: Path, console: Console) -> Iterator[str]:
    """The URL of the set in the folder. Starts the set if it is not running, and then stops it at the end."""
    if is_held(data):
        yield open_set(data).url
        return
    console.print(f"  starting PostgreSQL, NATS, an S3 store and the services in {data} …", highlight=False)
    program = "from infra.cli.main import main; main()"
    command = (sys.executable, "-c", program, "up", "--data", str(data), "--port", "0")
    # If we are killed with SIGKILL, the kernel stops the set.
    launched = launch_command(ProcessSpec(name="set", command=command, death_signal=signal.SIGTERM))
    with subprocess.Popen(launched, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield _until_ready(process, console)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            process.wait(30)


def _until_ready(process: "subprocess.Popen[str]", console: Console) -> str:
    assert process.stdout is not None
    output: list[str] = []
    for line in process.stdout:
        output.append(line.rstrip())
        if line.startswith("ready "):
            console.print(cell(f"  {line.strip()}"))
            return line.split()[1]
    return fail("the set did not start:", *output[-15:])


def _development_tokens(data: Path) -> tuple[str, str, str]:
    """A new user's token, the same user's token as an operator, and the user's id: each demo starts without credits."""
    file = open_set(data)
    user = uuid4()

    def issue(*roles: str) -> str:
        return issue_token(file, user=user, roles=roles, ttl=3600)[0]

    return issue("user"), issue("user", "operator"), str(user)


def _claims(token: str) -> tuple[str, list[str]]:
    """The token's subject and roles, not verified: the edge does that."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"]), list(claims.get("roles", []))
    except (IndexError, ValueError, KeyError):
        fail(f"--token is not a JWT. Get one: {command_line('token', '--data', 'DIR', '--role', 'operator')}", code=2)


def _see_status(data: Path | None) -> str:
    return f"To find the cause: {command_line('status', '--data', data or 'DIR')}"


def _show(result: DemoResult, console: Console) -> None:
    table = Table(title=f"job {result.job_id}: {result.status}", title_justify="left", box=None, pad_edge=False)
    for column in ("file", "type", "sha256", "bytes"):
        table.add_column(column)
    for asset in result.assets:
        verdict = "[green]intact[/]" if asset.intact else "[red]sha256 differs[/]"
        table.add_row(cell(Path(asset.file).name), cell(asset.mime_type), cell(f"{asset.sha256[:16]}…"), verdict)
    console.print(table)
    ledger = Table(title="credits", title_justify="left", box=None, pad_edge=False)
    for column in ("entry", "amount"):
        ledger.add_column(column)
    for entry in reversed(result.entries):
        ledger.add_row(cell(str(entry.get("kind"))), cell(str(entry.get("amount"))))
    console.print(ledger)
    console.print(
        f"granted {result.credits.granted:g}, captured {result.credits.captured:g}, "
        f"available {result.credits.available:g}"
    )
    if result.assets:
        console.print(cell(f"the pictures are in {Path(result.assets[0].file).parent}"))


def _show_next(job_id: str, console: Console, data: Path | None, served: str | None) -> None:
    """Prints commands that run as printed. `served`: the URL of a set that keeps running after the demo."""
    console.print("\nWhere to look next:", style="bold")
    lines = []
    if served is None:
        lines.append(("serve it", command_line("up", "--data", data, "--port", 8080)))
        served = "http://127.0.0.1:8080"
    lines.append(("all operations", f"{served}/schema"))
    if data is not None:
        history = ("--data", data, "--service", "generation")
        lines.append(("the history", command_line("events", *history, "--stream", job_id)))
        lines.append(("the job as it was", command_line("state", *history, job_id, "--as-of", 1)))
    for name, line in lines:
        console.print(cell(f"  {name:<17}  {line}"))
    if lines[0][0] == "serve it":
        console.print("The last three need a set that is served: run them in another shell.")
