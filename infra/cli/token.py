"""`emprops token`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from infra.cli.development_tokens import issue_token
from infra.cli.options import data_option, examples, json_option, open_set


@click.command(
    epilog=examples(
        'curl -H "Authorization: Bearer $(emprops token --data data/set)" http://127.0.0.1:8080/projects',
        "emprops token --data data/set --role operator --ttl 600",
        "emprops token --data data/set --user 6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11 --json",
    )
)
@data_option
@click.option("--user", type=click.UUID, help="The user's uuid [default: the set's development user].")
@click.option("--role", type=click.Choice(["user", "operator"]), default="user", show_default=True)
@click.option("--ttl", type=click.IntRange(1, 10 * 365 * 86_400), default=86_400, show_default=True, help="Seconds.")
@json_option
def token(data: Path, user: UUID | None, role: str, ttl: int, *, as_json: bool) -> None:
    """Print a JWT from the set's own development issuer, whose public key the edge serves.

    An operator is a user too. The set need not be running.
    """
    file = open_set(data)
    roles = ("user", "operator") if role == "operator" else ("user",)
    jwt, claims = issue_token(file, user=user, roles=roles, ttl=ttl)
    if not as_json:
        click.echo(jwt)
        return
    expires = datetime.fromtimestamp(claims["exp"], UTC).isoformat()
    click.echo(json.dumps({"token": jwt, "user_id": claims["sub"], "roles": claims["roles"], "expires_at": expires}))
