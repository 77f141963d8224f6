"""`emprops up`."""

import os
import re
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from infra.cli.options import data_option, examples, fail, folder
from infra.embedded.errors import SetError
from infra.embedded.nats_users import HTTP_API_USER, OWNERS
from infra.embedded.set_lock import SetInUseError
from infra.embedded.up import PortInUseError, run_set

WORKER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}=[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(,[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)*")
RESERVED_NAMES = (*OWNERS, "worker", "comfy", HTTP_API_USER, "operator")


@click.command(
    epilog=examples(
        "emprops up --data data/set --port 8080",
        "emprops up --data /tmp/other-set --port 0 --replicas 2",
        "emprops up --data data/set --worker text=direct_job.text",
        "emprops up --data data/set --comfy-urls http://127.0.0.1:8188",
    )
)
@data_option
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The edge's; 0: any free.")
@click.option("--replicas", type=click.IntRange(1, 16), default=1, show_default=True, help="Processes per service.")
@click.option(
    "--worker",
    "workers",
    multiple=True,
    callback=lambda _context, _option, values: parse_workers(values),
    metavar="NAME=KIND[,KIND]",
    help="Give access to a worker of yours that takes these kinds of work; repeatable. Settings: DIR/workers/NAME.env.",
)
@click.option(
    "--comfy-urls",
    envvar="COMFY_URLS",
    default="",
    callback=lambda _context, _option, value: checked_comfy_urls(value),
    metavar="URL[#N][,URL[#N]]",
    help="ComfyUI servers for comfy_workflow steps, with the number of runs at a time.  [env: COMFY_URLS]",
)
@click.option(
    "--public-url",
    envvar="PUBLIC_URL",
    default="",
    callback=lambda _context, _option, value: checked_public_url(value),
    metavar="URL",
    help="Where everybody reaches the edge, such as https://nft.example: metadata links to it.  [env: PUBLIC_URL]",
)
def up(
    data: Path, port: int, replicas: int, workers: dict[str, tuple[str, ...]], comfy_urls: str, public_url: str
) -> None:
    """Run the whole set in the foreground until Ctrl-C or SIGTERM.

    PostgreSQL, NATS and an S3 store, each on a free loopback port, a process per service and a worker. Prints
    `ready http://127.0.0.1:PORT` on a line of its own when all are ready. All data is in DIR: the next `up` on the same
    DIR continues with it.
    """
    try:
        run_set(
            folder(data),
            port=port,
            replicas=replicas,
            say=_say,
            workers=workers,
            comfy_urls=comfy_urls,
            public_url=public_url,
        )
    except (SetInUseError, PortInUseError) as error:
        fail(str(error), code=2)
    except (SetError, OSError) as error:
        fail(str(error))


def parse_workers(values: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The kinds of work by worker. Raises `click.BadParameter`."""
    workers: dict[str, tuple[str, ...]] = {}
    for value in values:
        if not WORKER.fullmatch(value):
            raise click.BadParameter(
                f"{value!r} is not like text=direct_job.text or text=direct_job.text,direct_job.poem."
            )
        name, _, kinds = value.partition("=")
        if name in workers or name in RESERVED_NAMES:
            raise click.BadParameter(f"{name} is the name of another worker, or of a part of the set.")
        workers[name] = tuple(dict.fromkeys(kinds.split(",")))
    return workers


def checked_comfy_urls(value: str) -> str:
    """The value as it is; empty for no servers. Raises `click.BadParameter`."""
    if value := value.strip():
        from workers.comfy.servers import parse_urls  # noqa: PLC0415 - takes longer to import than most commands run

        try:
            parse_urls(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error
    return value


def checked_public_url(value: str) -> str:
    """The value without a slash at its end; empty for none. Raises `click.BadParameter`."""
    if not (value := value.strip().rstrip("/")):
        return ""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.query or parts.fragment or any(map(str.isspace, value)):
        raise click.BadParameter(f"{value!r} is not like https://nft.example or http://10.0.0.7:8080.")
    return value


def _say(line: str) -> None:
    if not line.startswith("ready "):  # programs parse that line: it has no time
        line = f"{click.style(datetime.now().astimezone().strftime('%H:%M:%S'), dim=True)} {line}"
    text = f"{line}\n" if sys.stdout.isatty() else click.unstyle(f"{line}\n")
    remaining = text.encode(errors="backslashreplace")
    # Not through sys.stdout: if the reader has stopped reading, the write holds its lock, and Python could not exit.
    while remaining:
        remaining = remaining[os.write(1, remaining) :]
