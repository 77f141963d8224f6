"""`emprops rotate`."""

from pathlib import Path

import click

from infra.cli.escaping import escape
from infra.cli.options import data_option, examples, fail, folder, open_set
from infra.embedded.errors import SetError
from infra.embedded.rotation import KINDS
from infra.embedded.rotation import rotate as rotate_set


@click.command(
    epilog=examples(
        "emprops rotate --data data/set tokens grants passwords secrets",
        "emprops rotate --data data/set --revoke tokens",
    )
)
@data_option
@click.argument("what", type=click.Choice(KINDS), nargs=-1, required=True)
@click.option("--revoke", is_flag=True, help="Refuse what the old keys have signed.")
def rotate(data: Path, what: tuple[str, ...], *, revoke: bool) -> None:
    """Replace keys and passwords of a stopped set; its next start uses the new ones.

    WHAT: `tokens`, the key that signs tokens of users; `grants`, the key that signs the permissions of workers to store
    files; `passwords`, of PostgreSQL, NATS and the S3 store; `secrets`, the key that encrypts the values of `emprops
    secrets`. What an old key signed stays valid until it expires, or until the key is rotated again. Workers of yours
    need the new settings in DIR/workers.
    """
    open_set(data)
    try:
        unreadable = rotate_set(folder(data), what, revoke=revoke)
    except (SetError, OSError) as error:
        fail(str(error))
    for name in unreadable:
        click.echo(f"the value of {escape(name)} could not be read before either: set it again", err=True)
    click.echo(f"rotated {', '.join(dict.fromkeys(what))}; start the set")
