"""`emprops parked`."""

from collections.abc import Awaitable, Callable
from getpass import getuser
from pathlib import Path

import click
import msgspec
from psycopg import AsyncConnection
from rich.console import Console
from rich.table import Table

from infra.cli.escaping import cell, escape_json
from infra.cli.history import SERVICES, opened_store, run, service_option
from infra.cli.options import command_line, data_option, examples, json_option
from shared.eventstore.migrate import migrate
from shared.handling import operator_actions
from shared.handling.parking import SCHEMA, Parked


@click.group()
def parked() -> None:
    """Messages that could not be handled, and events that could not be published: list, inspect, retry, discard.

    The set must be running.
    """


def _with_connection(data: Path, service: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def go() -> None:
        async with opened_store(data, service) as store, store.pool.connection() as connection:
            await migrate(store.dsn, SCHEMA)
            await work(connection)

    run(go())


@parked.command(
    name="list",
    epilog=examples(
        "emprops parked list --data data/set",
        "emprops parked list --data data/set --service generation --by relay",
    ),
)
@data_option
@click.option("--service", type=click.Choice(SERVICES), help="Only this service's.")
@click.option("--by", "consumer", help="Only by this consumer or process; relay: events that the broker refused.")
@json_option
def list_(data: Path, service: str | None, consumer: str | None, *, as_json: bool) -> None:
    """Show the events that consumers, processes, the results intake and the relay have parked, and those behind them.

    The set must be running.
    """
    parked_rows: list[tuple[str, Parked]] = []
    for service_name in [service] if service else SERVICES:

        async def collect(connection: AsyncConnection, name: str = service_name) -> None:
            after = 0
            while rows := await operator_actions.list_parked(connection, consumer, after=after):
                parked_rows.extend((name, row) for row in rows)
                after = rows[-1].id

        _with_connection(data, service_name, collect)
    if as_json:
        rows = [{"service": name, **msgspec.to_builtins(row)} for name, row in parked_rows]
        click.echo(escape_json(rows, indent=0))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("service", "id", "status", "by", "type", "stream", "attempts", "error"):
        table.add_column(column)
    for name, row in parked_rows:
        cells = (name, str(row.id), row.status, row.consumer, row.type or "", str(row.stream_id or ""))
        table.add_row(*map(cell, (*cells, str(row.attempts), row.error or "")))
    Console().print(table if parked_rows else "Nothing is parked.")


@parked.command(epilog=examples("emprops parked inspect --data data/set --service credits 17"))
@data_option
@service_option
@click.argument("parked_id", type=int)
def inspect(data: Path, service: str, parked_id: int) -> None:
    """Show one parked event with its body and every retry or discard of it, as JSON."""

    async def show(connection: AsyncConnection) -> None:
        row, actions = await operator_actions.inspect(connection, parked_id)
        body = row.body.decode(errors="replace")
        document = {**msgspec.to_builtins(row), "body": body, "actions": msgspec.to_builtins(actions)}
        click.echo(escape_json(document))

    _with_connection(data, service, show)


@parked.command(epilog=examples('emprops parked retry --data data/set --service credits 17 --reason "fixed in 0.2"'))
@data_option
@service_option
@click.argument("parked_id", type=int)
@click.option("--reason", default="", help="Stored with the action.")
def retry(data: Path, service: str, parked_id: int, reason: str) -> None:
    """Have the consumer, process or relay that parked the event retry it, and then handle the events behind it."""
    actor = f"operator:{getuser()}"
    _with_connection(
        data, service, lambda connection: operator_actions.retry(connection, parked_id, by=actor, reason=reason)
    )
    inspect_it = command_line("parked", "inspect", "--data", data, "--service", service, parked_id)
    click.echo(f"{parked_id} is being retried. To see the result: {inspect_it}")


@parked.command(
    epilog=examples('emprops parked discard --data data/set --service credits 17 --reason "a test message"')
)
@data_option
@service_option
@click.argument("parked_id", type=int)
@click.option("--reason", required=True, help="Why it will never be handled; stored with the action.")
def discard(data: Path, service: str, parked_id: int, reason: str) -> None:
    """Discard the event, with a reason; the events behind it are then handled."""
    actor = f"operator:{getuser()}"
    _with_connection(
        data, service, lambda connection: operator_actions.discard(connection, parked_id, by=actor, reason=reason)
    )
    click.echo(f"{parked_id} is discarded")
