"""`emprops verify-package`."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from infra.cli.escaping import cell, escape, escape_json
from infra.cli.options import examples, fail, json_option
from infra.cli.public_collection import compare, public_collection
from shared.content.cid import Cid, NotACid
from shared.content.difference import Difference
from shared.content.verification import Verified, verify


def _check_cid(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuses what is not a CID as packages have it."""
    if value is None:
        return None
    text = value.removeprefix("ipfs://").rstrip("/")
    try:
        return str(Cid.parse(text))
    except NotACid as error:
        message = f"{value} is not the CID of a package: it begins with bafy"
        raise click.BadParameter(message) from error


@click.command(
    "verify-package",
    epilog=examples("emprops verify-package package.car", "emprops verify-package package.car --json"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--root", metavar="CID", callback=_check_cid, help="The root that the package must have.")
@click.option("--collection", metavar="URL", help="The collection's address; compares with what is public there.")
@json_option
def verify_package(file: Path, root: str | None, collection: str | None, *, as_json: bool) -> None:
    """Check a publish package offline: every byte of FILE, a CAR file, and what it means.

    Verifies that each block matches its CID, that the folder is complete, that each file imported again has its CID,
    that the manifest and its provenance hash match the files, and that each token has its artwork and, on each chain of
    the package, a metadata file that names it. Exits with 0 if so; otherwise prints the first difference, with its
    path, the member of the file, and byte offset, and exits with 1.

    With --collection, such as https://api.example/collections/2b1a0f9e-8d7c-4b6a-9584-736251403f2e or the address of
    the collection's page, the package must be one that the platform lists as published of that collection; this alone
    needs a network, and no token.
    """
    try:
        size = file.stat().st_size
        if not file.is_file():
            fail(f"{file} is not a file: give the CAR file that was downloaded from the package's url")
        verified = _verify(file, size, root, quiet=as_json)
        if collection is not None:
            compare(verified, public_collection(collection), collection)
    except Difference as difference:
        _print_difference(file, difference, as_json=as_json)
        raise SystemExit(1) from difference
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}")
    if as_json:
        click.echo(escape_json({"ok": True, **msgspec.structs.asdict(verified)}))
    else:
        _print(verified)


def _verify(file: Path, size: int, root: str | None, *, quiet: bool) -> Verified:
    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with (
        file.open("rb") as opened,
        Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("verifying", total=size)
        return verify(opened, size, lambda read: bar.update(task, completed=read), root=root)


def _print(verified: Verified) -> None:
    console = Console(highlight=False)
    console.print(f"[green]verified[/] {verified.files} files in {verified.blocks} blocks, {verified.size} bytes")
    console.print(cell(f"root        {verified.root}"), soft_wrap=True)
    console.print(cell(f"provenance  {verified.provenance} over {verified.artworks} artworks"), soft_wrap=True)
    console.print(cell(f"collection  {verified.collection_id}, job {verified.job_id}"), soft_wrap=True)
    console.print(cell(f"metadata    for {', '.join(verified.chains)}"), soft_wrap=True)


def _print_difference(file: Path, difference: Difference, *, as_json: bool) -> None:
    if as_json:
        document = {name: getattr(difference, name) for name in ("path", "pointer", "offset", "message")}
        click.echo(escape_json({"ok": False, "difference": document}))
    else:
        member = f" {difference.pointer}" if difference.pointer else ""
        where = f"{difference.path}{member}, at byte {difference.offset} of {file}"
        click.echo(escape(f"emprops: the package is not intact: {where}: {difference.message}"), err=True)
