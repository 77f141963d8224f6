"""`emprops pin`."""

import asyncio
import ipaddress
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
from rich.console import Console

from infra.cli.api_access import call_api
from infra.cli.escaping import escape, escape_json
from infra.cli.options import examples, fail, json_option
from infra.cli.pinning_service import PinningError, PinningService, PinStatus, Unreachable
from infra.cli.public_collection import PublicCollection, api_address, compare, public_collection
from shared.content.difference import Difference
from shared.content.verification import verify

LOOK_EVERY, LOOK_SELDOM = 1.0, 15.0
"""Seconds between two looks at a request, which grow from the first to the second."""
PATIENCE = 600.0
"""Seconds for which a service may not answer while a request is under way."""
INTERRUPTED = 130


class Package(NamedTuple):
    """What is to be pinned. `collection`: its public page, if --collection was given."""

    root: str
    name: str
    collection: PublicCollection | None


@click.command(
    epilog=examples(
        "emprops pin package.car",
        "emprops pin --collection https://nft.example/collections/2b1a0f9e-8d7c-4b6a-9584-736251403f2e --data data/set",
    )
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--collection", metavar="URL", help="The collection's address: pins its newest published package, or FILE."
)
@click.option("--to", metavar="URL", envvar="PINNING_SERVICE", help="The service's API [env: PINNING_SERVICE].")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="The folder of a set.")
@click.option("--token", envvar="EMPROPS_TOKEN", help="Of the owner or an operator [env: EMPROPS_TOKEN].")
@json_option
def pin(
    file: Path | None,
    collection: str | None,
    to: str | None,
    data: Path | None,
    token: str | None,
    *,
    as_json: bool,
) -> None:
    """Have a remote pinning service keep a publish package on IPFS.

    Asks the service, by the IPFS Pinning Service API, for the root of FILE, a CAR file that is verified first, or of
    the newest published package of the collection; and shows its progress until it is pinned (exit 0) or has failed
    (exit 1). The service's token is read from PINNING_TOKEN only. The service gets the data from IPFS, or from the
    collection's platform, which is named as its origin.

    With --collection and --data or --token, the outcome is recorded and shown on the collection's public page. Ctrl-C
    ends the command, not the request: the same command finds the request again.
    """
    endpoint, secret = _settings(to)
    package = _package(file, collection)
    try:
        status = asyncio.run(_pin(endpoint, secret, package, collection, _display(quiet=as_json)))
    except KeyboardInterrupt:
        click.echo(f"\nThe service goes on. Run the same command to see how far {package.root} is", err=True)
        raise SystemExit(INTERRUPTED) from None
    except (PinningError, Unreachable) as error:
        fail(str(error))
    is_recorded = False
    try:
        is_recorded = _record(package, collection, data, token, endpoint.rstrip("/"), status)
    finally:  # the service keeps it, also if that can't be recorded
        _print(package, status, as_json=as_json, is_recorded=is_recorded)
    if not is_recorded and not as_json:
        hint = "with --collection, and --data or --token, the collection's public page shows it"
        click.echo(f"The outcome is not recorded: {hint}", err=True)
    raise SystemExit(0 if status.status == "pinned" else 1)


def _settings(service: str | None) -> tuple[str, str]:
    """The service's address and token."""
    secret = os.environ.get("PINNING_TOKEN", "")
    if not service:
        fail("name the pinning service: --to URL, or PINNING_SERVICE in the environment")
    if not secret:
        fail("set PINNING_TOKEN in the environment to the token of the pinning service")
    try:
        parts = urlsplit(service)
        host = parts.hostname or ""
    except ValueError:
        fail(f"{service} is not a URL", code=2)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        fail("the pinning service must have an https address: its token would be sent in the clear", code=2)
    if not host or parts.username is not None or parts.query or parts.fragment:
        fail("the address of a pinning service has a host, and no user name, query or fragment", code=2)
    return service, secret


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _package(file: Path | None, collection: str | None) -> Package:
    """Verifies FILE, and compares it with the collection, if there are both."""
    if file is None and collection is None:
        fail("give FILE, --collection URL, or both", code=2)
    public = public_collection(collection) if collection is not None else None
    if file is None:
        assert public is not None, "one of both is there"
        if not public.packages:
            fail(f"{collection} has no published package: publish the collection, then request its package")
        return Package(public.packages[0].root, f"emprops {public.id}", public)
    try:
        with file.open("rb") as opened:
            verified = verify(opened, file.stat().st_size)
        if public is not None:
            compare(verified, public, str(collection))
    except Difference as difference:
        fail(f"{file} is not pinned: {difference.path} at byte {difference.offset}: {difference.message}")
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}")
    return Package(verified.root, f"emprops {verified.collection_id}", public)


async def _pin(
    endpoint: str, secret: str, package: Package, collection: str | None, show: Callable[[str], None]
) -> PinStatus:
    """Requests the pin, unless a request for it is open, and follows it to its end."""
    meta = {"collection": str(package.collection.id)} if package.collection else {}
    async with PinningService(endpoint, secret) as service:
        status = await service.find(package.root)
        if status is None:
            status = await service.add(package.root, package.name, origins(collection), meta)
        pause, answered_at = LOOK_EVERY, time.monotonic()
        while status.status not in {"pinned", "failed"}:
            show(f"{status.status} (request {status.requestid})")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LOOK_SELDOM)
            try:
                status = await service.status(status.requestid)
            except Unreachable as error:
                if time.monotonic() - answered_at > PATIENCE:
                    raise
                show(f"{error}; trying again")
            else:
                answered_at = time.monotonic()
        return status


def origins(collection: str | None) -> list[str]:
    """The platform's gateway as a multiaddr; none for one that only this machine reaches."""
    if collection is None:
        return []
    parts = urlsplit(collection)
    host = parts.hostname or ""
    if _is_loopback(host) or parts.scheme not in {"http", "https"}:
        return []
    try:
        kind = f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        kind = "dns"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return [f"/{kind}/{host}/tcp/{port}/{parts.scheme}"]


def _record(
    package: Package, collection: str | None, data: Path | None, token: str | None, service: str, status: PinStatus
) -> bool:
    """Records the outcome with the collection; False without a collection, or without access to it."""
    if package.collection is None or collection is None or (data is None and token is None):
        return False
    url: str | None = api_address(collection).rpartition("/collections/")[0]
    body: dict[str, Any] = {
        "cid": package.root,
        "service": service,
        "request_id": status.requestid,
        "status": status.status,
        "reason": status.reason or None,
    }
    path = f"/collections/{package.collection.id}/pins"
    url, token = (None, None) if data is not None else (url, token)
    call_api(data, url, token, lambda client: client.call("POST", path, body))
    return True


def _display(*, quiet: bool) -> Callable[[str], None]:
    """Shows a line of progress on standard error, if that is a terminal; each different line once, if it is not."""
    console, last = Console(stderr=True, highlight=False), ""

    def show(line: str) -> None:
        nonlocal last
        if quiet or line == last:
            return
        last = line
        console.print(escape(line), end="\n", markup=False, soft_wrap=True)

    return show


def _print(package: Package, status: PinStatus, *, as_json: bool, is_recorded: bool) -> None:
    if as_json:
        document = {"cid": package.root, "request_id": status.requestid, "status": status.status}
        click.echo(escape_json({**document, "reason": status.reason or None, "recorded": is_recorded}))
        return
    if status.status == "failed":
        click.echo(escape(f"emprops: {package.root} was not pinned: {status.reason or 'no reason'}"), err=True)
    else:
        click.echo(escape(f"pinned {package.root} (request {status.requestid})"))
