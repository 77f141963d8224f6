"""`emprops state`."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from rich.console import Console

from infra.cli.escaping import escape_json
from infra.cli.history import definition_of, no_stream, opened_store, parse_as_of, run, service_option
from infra.cli.options import command_line, data_option, examples, fail, json_option
from shared.eventstore.decider import encode_state


@click.command(
    epilog=examples(
        "emprops state --data data/set --service generation $JOB_ID",
        'emprops state --data data/set --service credits $USER_ID --as-of "$(date -u +%FT%TZ)"',
        "emprops state --data data/set --service collections $COLLECTION_ID --as-of 1 --json",
    )
)
@data_option
@service_option
@click.argument("stream", type=click.UUID)
@click.option("--as-of", metavar="VERSION|TIME", help="The state at a version, or at a time (ISO 8601).")
@json_option
def state(data: Path, service: str, stream: UUID, as_of: str | None, *, as_json: bool) -> None:
    """Show a stream's state, folded from its events: now, or at an earlier version or time."""
    then = parse_as_of(as_of)

    async def load() -> dict[str, Any]:
        async with opened_store(data, service) as store:
            first = await store.read_stream(stream, limit=1)
            if not first:
                fail(no_stream(data, service, stream))
            aggregate = first[0].event.aggregate
            decider = next((decider for decider in definition_of(service).deciders if decider.name == aggregate), None)
            if decider is None:
                list_events = command_line("events", "--data", data, "--service", service, "--stream", stream)
                fail(f"{service} folds no state for {aggregate}. To see its events: {list_events}")
            loaded = await store.load(decider, stream, as_of=then)
            if not loaded.version:
                fail(f"{aggregate} {stream} did not exist yet: its first event was recorded at {first[0].recorded_at}")
            return {
                "stream_id": str(stream),
                "aggregate": aggregate,
                "version": loaded.version,
                "position": loaded.position,
                "recorded_at": loaded.recorded_at,
                "state": msgspec.Raw(encode_state(loaded.state)),
            }

    document = escape_json(run(load()))
    if as_json:
        click.echo(document)
    else:
        Console().print_json(document, ensure_ascii=True)
