"""`emprops verify-package`."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from infra.cli.options import examples, fail, json_option
from infra.cli.shown import cell, json_shown, shown
from shared.content.verification import Difference, Verified, verify


@click.command(
    "verify-package",
    epilog=examples("emprops verify-package package.car", "emprops verify-package package.car --json"),
)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def verify_package(file: Path, *, as_json: bool) -> None:
    """Check a publish package offline: every byte of FILE, a CAR file.

    Each block is what its CID names, the folder is complete, every file imported again has its CID, and the manifest,
    with the provenance hash, is true. Exits with 0 if so; else names the first difference, by path and byte, and exits
    with 1.
    """
    try:
        size = file.stat().st_size
        if not file.is_file():
            fail(f"{file} is not a file: give the CAR file that the package's url leads to")
        verified = _verify(file, size, quiet=as_json)
    except Difference as difference:
        _tell_difference(file, difference, as_json=as_json)
        raise SystemExit(1) from difference
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}")
    if as_json:
        click.echo(json_shown({"ok": True, **msgspec.structs.asdict(verified)}))
    else:
        _tell(verified)


def _verify(file: Path, size: int, *, quiet: bool) -> Verified:
    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with (
        file.open("rb") as opened,
        Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("verifying", total=size)
        return verify(opened, size, lambda read: bar.update(task, completed=read))


def _tell(verified: Verified) -> None:
    console = Console(highlight=False)
    console.print(f"[green]verified[/] {verified.files} files in {verified.blocks} blocks, {verified.size} bytes")
    console.print(cell(f"root        {verified.root}"), soft_wrap=True)
    console.print(cell(f"provenance  {verified.provenance} over {verified.artworks} artworks"), soft_wrap=True)
    console.print(cell(f"collection  {verified.collection_id}, job {verified.job_id}"), soft_wrap=True)


def _tell_difference(file: Path, difference: Difference, *, as_json: bool) -> None:
    if as_json:
        said = {"path": difference.path, "offset": difference.offset, "message": difference.message}
        click.echo(json_shown({"ok": False, "difference": said}))
    else:
        where = f"{difference.path}, at byte {difference.offset} of {file}"
        click.echo(shown(f"emprops: the package is not intact: {where}: {difference.message}"), err=True)
