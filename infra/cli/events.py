"""`emprops events`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from rich.console import Console
from rich.text import Text

from infra.cli.escaping import escape, escape_json
from infra.cli.history import no_stream, opened_store, run, service_option
from infra.cli.options import data_option, examples, fail, json_option
from shared.eventstore import EventStore, RecordedEvent, Unreadable
from shared.eventstore.epochs import WentBack

PAGE, STREAM_PAGE = 1000, 50


@click.command(
    epilog=examples(
        "emprops events --data data/set --service credits",
        "emprops events --data data/set --service generation --stream $JOB_ID --json",
        "emprops events --data data/set --service collections --after 1200 --follow",
    )
)
@data_option
@service_option
@click.option("--stream", type=click.UUID, help="Only this stream: a collection's, job's, generation's or user's id.")
@click.option(
    "--type",
    "only",
    multiple=True,
    help="Only these types, such as job_completed.v1, whichever version they were stored in; may be repeated.",
)
@click.option(
    "--after", type=click.IntRange(0), default=0, help="Only events after this position (version of a stream)."
)
@click.option("--limit", type=click.IntRange(1), help="Stop after this many events.")
@click.option("--follow", is_flag=True, help="Keep printing new events until Ctrl-C.")
@json_option
def events(
    data: Path,
    service: str,
    stream: UUID | None,
    only: tuple[str, ...],
    after: int,
    limit: int | None,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the history of a service, or of one of its streams, in the order in which it was recorded.

    Events are shown in the newest version of their type. With --json, one JSON object per line: position, recorded_at,
    type, stored_type (the version that it was stored in), stream_id, version, event, metadata, event_id. An event that
    can't be read has the type `unreadable`, and the reason.
    """
    console, types = Console(highlight=False, soft_wrap=True), frozenset(only)

    async def show() -> None:
        remaining = limit
        async with opened_store(data, service) as store:
            if stream is not None and not await store.read_stream(stream, limit=1, keep_unreadable=True) and not follow:
                fail(no_stream(data, service, stream))
            async for recorded in _read(store, stream, after, follow=follow):
                if types and types.isdisjoint((recorded.type, recorded.stored_type)):
                    continue
                if as_json:
                    click.echo(escape_json(_document(recorded), indent=0))
                else:
                    console.print(_line(recorded))
                if remaining is not None and (remaining := remaining - 1) == 0:
                    return

    run(show())


async def _followed(store: EventStore, after: int) -> AsyncIterator[RecordedEvent]:
    try:
        async for batch in store.tail(after, limit=PAGE, keep_unreadable=True):
            for recorded in batch.events:
                yield recorded
    except WentBack as error:
        fail(f"The database was restored to an earlier state ({error}). Run the command again to read it as it is now")


async def _read(store: EventStore, stream: UUID | None, after: int, *, follow: bool) -> AsyncIterator[RecordedEvent]:
    if follow:
        async for recorded in _followed(store, after):
            if stream in {None, recorded.stream_id}:
                yield recorded
    elif stream is not None:
        while page := await store.read_stream(stream, after=after, limit=STREAM_PAGE, keep_unreadable=True):
            for recorded in page:
                yield recorded
            after = page[-1].version
    else:
        while (batch := await store.read_batch(after, PAGE, keep_unreadable=True)).size:
            for recorded in batch.events:
                yield recorded
            after = batch.position


def _document(recorded: RecordedEvent) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "recorded_at": recorded.recorded_at,
        "type": recorded.type,
        "stored_type": recorded.stored_type,
        "stream_id": recorded.stream_id,
        "version": recorded.version,
        "event": msgspec.Raw(msgspec.json.encode(recorded.event)),
        "metadata": msgspec.Raw(recorded.metadata),
        "event_id": recorded.event_id,
    }


def _line(recorded: RecordedEvent) -> Text:
    content: dict[str, Any] = msgspec.to_builtins(recorded.event)
    content.pop("type", None)
    fields = " ".join(f"{name}={_short(value)}" for name, value in content.items())
    return Text.assemble(
        (f"{recorded.position:>8} ", "dim"),
        (f"{recorded.recorded_at:%Y-%m-%d %H:%M:%S.%f} ", "dim"),
        (f"{recorded.stream_id}@{recorded.version} ", "cyan"),
        (f"{_type(recorded)} ", "bold"),
        (f"by {escape(recorded.context.actor)} ", "dim"),
        fields,
    )


def _type(recorded: RecordedEvent) -> str:
    """The newest version of the event's type; for an unreadable event, the stored type too."""
    if isinstance(recorded.event, Unreadable):
        return f"{recorded.type} {escape(recorded.stored_type)}"
    return recorded.type


def _short(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return escape(text if len(text) <= width else text[: width - 1] + "…")
