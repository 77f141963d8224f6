"""A history that three releases have written is read by today's as one: everywhere, in the newest version.

The first two stored `thing_named.v1` and `.v2`, which are retired; today's release has upcasters for them.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio
from click.testing import CliRunner

from infra.cli import history
from infra.cli.main import main
from shared.contracts.event import Event
from shared.contracts.language import Language
from shared.eventstore import Codec, Context, Decider, EventStore, RecordedEvent, StreamAppend, UnknownEventType
from shared.handling import operator_actions
from shared.messaging import Consumer, ConsumerRunner, Relay
from shared.processes import Process, ProcessRunner
from shared.projections import Projection, Projector, rebuild
from shared.runtime import ServiceDefinition
from tests.contracts.made_up import ThingEvent
from tests.integration.messaging.support import background
from tests.support.patience import eventually


class NamedV1(ThingEvent, frozen=True, tag="thing_named.v1"):
    name: str


class NamedV2(ThingEvent, frozen=True, tag="thing_named.v2"):
    first: str
    surname: str


class Named(ThingEvent, frozen=True, tag="thing_named.v3"):
    first: str
    last: str


class NamedV4(ThingEvent, frozen=True, tag="thing_named.v4"):
    letters: list[str]


class Grown(ThingEvent, frozen=True, tag="thing_grown.v1"):
    by: int


def split(document: dict[str, Any]) -> dict[str, Any]:
    first, _, surname = document["name"].partition(" ")
    return {"first": first, "surname": surname}


def rename(document: dict[str, Any]) -> dict[str, Any]:
    return {"first": document["first"], "last": document["surname"]}


FIRST = Language((NamedV1, Grown))
SECOND = Language((NamedV2, Grown), {"thing_named.v1": split})
TODAY = Language((Named, Grown), {"thing_named.v1": split, "thing_named.v2": rename})
TOMORROW = Language((NamedV4, Grown))

ADA, EVE, BEA = Named("Ada", "Lovelace"), Named("Eve", "Adams"), Named("Bea", "Arthur")
THING = Decider[str]("thing", "", lambda _, event: getattr(event, "first", ""), str)


class NameRow(msgspec.Struct, frozen=True):
    id: UUID
    last: str
    changes: int


NAMES = Projection(
    name="names",
    version=1,
    row=NameRow,
    key=("id",),
    ddl="create table {table} (id uuid primary key, last text not null, changes bigint not null)",
    events=(Named,),
    keys=lambda recorded: [(recorded.stream_id,)],
    project=lambda row, recorded: NameRow(
        recorded.stream_id, getattr(recorded.event, "last", ""), row.changes + 1 if row else 1
    ),
)


class Seen(list[RecordedEvent]):
    async def __call__(self, recorded: RecordedEvent) -> None:
        self.append(recorded)


def said(recorded: list[RecordedEvent]) -> list[tuple[str, str, Event]]:
    return [(item.stored_type, item.type, item.event) for item in recorded]


ALL = [
    ("thing_named.v1", "thing_named.v3", ADA),
    ("thing_named.v2", "thing_named.v3", EVE),
    ("thing_named.v3", "thing_named.v3", BEA),
]


async def record(dsn: str, language: Language, stream: UUID, version: int, event: Event) -> int:
    """As the release of that language did."""
    async with EventStore.open(dsn, Codec.of(language)) as store:
        return (await store.append([StreamAppend(stream, version, [event])], Context(uuid4(), "test"))).position


@pytest.fixture
def thing() -> UUID:
    return uuid4()


@pytest_asyncio.fixture
async def first(database: str, thing: UUID) -> str:
    """The database as the first release left it."""
    await record(database, FIRST, thing, 0, NamedV1("Ada Lovelace"))
    await record(database, FIRST, uuid4(), 0, Grown(1))
    return database


@pytest_asyncio.fixture
async def store(first: str, thing: UUID) -> AsyncIterator[EventStore]:
    """Today's release on that history."""
    async with history_of_three(first, thing) as opened:
        yield opened


@contextlib.asynccontextmanager
async def history_of_three(database: str, thing: UUID) -> AsyncIterator[EventStore]:
    await record(database, SECOND, thing, 1, NamedV2("Eve", "Adams"))
    async with EventStore.open(database, Codec.of(TODAY)) as opened:
        await opened.append([StreamAppend(thing, 2, [BEA])], Context(uuid4(), "test"))
        yield opened


async def test_a_stream_and_its_states(store: EventStore, thing: UUID) -> None:
    """Now, and as of each version and time."""
    events = await store.read_stream(thing)
    assert said(events) == ALL
    assert (await store.load(THING, thing)).state == "Bea"
    for version, name in enumerate(("Ada", "Eve", "Bea"), 1):
        assert (await store.load(THING, thing, as_of=version)).state == name
        assert (await store.load(THING, thing, as_of=events[version - 1].recorded_at)).state == name


async def test_the_sequence(store: EventStore) -> None:
    """Read at once or followed, filtered by today's type."""
    expected = frozenset({"thing_named.v3"})
    assert said(await store.read_all(types=expected)) == ALL
    assert said((await anext(store.tail(0, types=expected))).events) == ALL


async def test_a_read_table_and_its_rebuild(store: EventStore, thing: UUID) -> None:
    """Each event counts, in whichever version it was stored."""
    projector = Projector(store, [NAMES])
    await projector.prepare()
    async with background(projector.run):
        assert await projector.caught_up(await store.head(), 30)
    rebuilt = await rebuild(store, NAMES)
    assert (rebuilt.missing, rebuilt.extra) == (0, 0)
    async with store.reader() as cursor:
        await cursor.execute("select id, last, changes from names_v1")
        assert await cursor.fetchall() == [(thing, "Arthur", 3)]


async def test_a_process(store: EventStore) -> None:
    """Reacts to each."""
    handler = Seen()
    async with background(ProcessRunner(store, Process("named-v1", (Named,), handler), "things").run):
        await eventually(lambda: len(handler) == 3, "all are reacted to")
    assert said(handler) == ALL


async def test_a_consumer_in_another_service(
    first: str, thing: UUID, nats_url: str, databases: Callable[..., str]
) -> None:
    """Whether a message was published by the release that stored the event, or by a later one."""
    handler = Seen()
    async with EventStore.open(first, Codec.of(FIRST)) as old:
        relay = Relay(old, "things", nats_url)
        async with background(relay.run):
            await eventually(lambda: relay.published >= 2, "the first release has published what it stored")
    async with history_of_three(first, thing) as store, EventStore.open(databases(), Codec(())) as service:
        runner = ConsumerRunner(service, Consumer("reader-v1", "things", (Named,), handler, TODAY), nats_url)
        async with background(Relay(store, "things", nats_url).run, runner.run):
            await eventually(lambda: len(handler) == 3, "all are handled")
    assert said(handler) == ALL


async def test_emprops_events(store: EventStore, thing: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    """By today's type, and by the one that it was stored under."""
    definition = ServiceDefinition("things", TODAY.events, (), upcasters=TODAY.upcasters)
    service = SimpleNamespace(database_url=store.dsn)
    monkeypatch.setattr(history, "open_running_set", lambda _: SimpleNamespace(services={"credits": service}))
    monkeypatch.setattr(history, "definition_of", lambda _: definition)

    async def shown(*options: str) -> list[dict[str, Any]]:
        command = ["events", "--data", str(Path()), "--service", "credits", "--json", *options]
        result = await asyncio.to_thread(CliRunner().invoke, main, command, catch_exceptions=False)
        return [json.loads(line) for line in result.output.splitlines()]

    lines = await shown("--type", "thing_named.v3")
    assert [(line["stored_type"], line["type"], line["event"]["last"]) for line in lines] == [
        (stored, today, event.last) for stored, today, event in ALL if isinstance(event, Named)
    ]
    assert [line["event"]["first"] for line in await shown("--type", "thing_named.v1")] == ["Ada"]
    assert len(await shown("--stream", str(thing))) == 3
    await record(store.dsn, TOMORROW, thing, 3, NamedV4(["D", "o", "t"]))
    for options in ([], ["--stream", str(thing)]):
        last = (await shown(*options))[-1]
        assert (last["type"], last["stored_type"]) == ("unreadable", "thing_named.v4")
        assert last["event"]["reason"] == "this release knows no event of type thing_named.v4"


class TestOfANewerRelease:
    """An event of a version that this release does not know yet, stored while both run side by side."""

    @pytest_asyncio.fixture
    async def store(self, store: EventStore, thing: UUID) -> EventStore:
        await record(store.dsn, TOMORROW, thing, 3, NamedV4(["D", "o", "t"]))
        return store

    async def test_is_not_passed_over(self, store: EventStore) -> None:
        """A reader of that type stops at it; readers of other types continue."""
        with pytest.raises(UnknownEventType, match=r"thing_named\.v4"):
            await store.read_all(types=frozenset({"thing_named.v3"}))
        assert len(await store.read_all(types=frozenset({"thing_grown.v1"}))) == 1

    async def test_holds_up_a_read_table(self, store: EventStore) -> None:
        """It shows nothing from behind the event: the newer release's table does."""
        projector = Projector(store, [NAMES])
        await projector.prepare()
        async with background(projector.run):
            assert not await projector.caught_up(await store.head(), 0.5)

    async def test_is_parked_by_a_consumer(
        self, store: EventStore, nats_url: str, databases: Callable[..., str]
    ) -> None:
        """It waits for a release that can read it, and an operator's retry."""
        handler = Seen()
        async with (
            EventStore.open(store.dsn, Codec.of(Language((NamedV1, NamedV2, Named, NamedV4, Grown)))) as newer,
            EventStore.open(databases(), Codec(())) as service,
        ):
            runner = ConsumerRunner(service, Consumer("reader-v1", "things", (Named,), handler, TODAY), nats_url)
            async with background(Relay(newer, "things", nats_url).run, runner.run), service.pool.connection() as c:
                await eventually(lambda: len(handler) == 3, "those before it are handled")
                [parked] = await eventually(lambda: operator_actions.list_parked(c), "it is parked")
                assert (parked.type, parked.error) == (
                    "thing_named.v4",
                    "this release knows no event of type thing_named.v4",
                )
        assert said(handler) == ALL
