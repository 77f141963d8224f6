"""The store is compared with a dictionary under random appends, commands, repetitions and conflicts."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.contracts.event import Event
from shared.eventstore import Appended, Context, EventStore, RecordedEvent, StreamAppend, VersionConflict
from tests.integration.eventstore.tally import (
    CODEC,
    SNAPSHOT_TALLY,
    TALLY,
    Closed,
    Counted,
    Opened,
    Tally,
    context,
    evolve,
)
from tests.support.patience import PATIENCE

T = TypeVar("T")
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
EVENTS = st.lists(
    st.builds(Opened, NAMES) | st.builds(Counted, st.integers(-9, 9)) | st.just(Closed()),
    min_size=1,
    max_size=4,
)
DECIDERS = st.sampled_from([TALLY, replace(SNAPSHOT_TALLY, name="snapshotted")])


class StoreAndModel(RuleBasedStateMachine):
    """Two stores on one database, each with a cache of two states, and the model of their contents."""

    dsn = ""
    streams = Bundle("streams")
    commands = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.stores = [
            self.run(self.open.enter_async_context(EventStore.open(self.dsn, CODEC, cached_states=2))) for _ in "ab"
        ]
        self.model: dict[UUID, list[Event]] = {}
        self.order: list[tuple[UUID, int]] = []
        self.start = self.run(self.stores[0].head())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self.runner.run(bounded())

    def teardown(self) -> None:
        self.run(self.open.aclose())
        self.runner.close()

    def record(self, stream: UUID, events: list[Event]) -> None:
        self.model[stream] += events
        self.order += [
            (stream, version)
            for version in range(len(self.model[stream]) - len(events) + 1, len(self.model[stream]) + 1)
        ]

    @initialize(target=streams)
    def first_stream(self) -> UUID:
        return self.new_id()

    @rule(target=streams)
    def new_stream(self) -> UUID:
        return self.new_id()

    def new_id(self) -> UUID:
        stream = uuid4()
        self.model[stream] = []
        return stream

    @rule(target=commands, at=st.integers(0, 1), stream=streams, events=EVENTS)
    def append(self, at: int, stream: UUID, events: list[Event]) -> tuple[Context, list[StreamAppend], Appended]:
        command_context, appends = context(), [StreamAppend(stream, len(self.model[stream]), events)]
        appended = self.run(self.stores[at].append(appends, command_context))
        self.record(stream, events)
        assert (appended.versions, appended.replayed) == ({stream: len(self.model[stream])}, False)
        return command_context, appends, appended

    @rule(target=commands, at=st.integers(0, 1), first=streams, second=streams, events=EVENTS)
    def append_to_two(
        self, at: int, first: UUID, second: UUID, events: list[Event]
    ) -> tuple[Context, list[StreamAppend], Appended]:
        touched = dict.fromkeys((first, second))
        command_context, appends = (
            context(),
            [StreamAppend(stream, len(self.model[stream]), events) for stream in touched],
        )
        appended = self.run(self.stores[at].append(appends, command_context))
        for stream in touched:
            self.record(stream, events)
        assert appended.versions == {stream: len(self.model[stream]) for stream in touched}
        return command_context, appends, appended

    @rule(at=st.integers(0, 1), stream=streams, off=st.integers(-3, 3).filter(bool), events=EVENTS)
    def append_at_a_wrong_version(self, at: int, stream: UUID, off: int, events: list[Event]) -> None:
        actual = len(self.model[stream])
        with pytest.raises(VersionConflict) as conflict:
            self.run(self.stores[at].append([StreamAppend(stream, actual + off, events)], context()))
        assert (conflict.value.expected, conflict.value.actual) == (actual + off, actual)

    @rule(at=st.integers(0, 1), command=commands)
    def repeat(self, at: int, command: tuple[Context, list[StreamAppend], Appended]) -> None:
        command_context, appends, first = command
        repeated = self.run(self.stores[at].append(appends, command_context))
        assert repeated == Appended(first.position, first.versions, replayed=True)

    @rule(at=st.integers(0, 1), stream=streams, by=st.integers(-9, 9), decider=DECIDERS)
    def handle(self, at: int, stream: UUID, by: int, decider: Any) -> None:
        """Counts, unless the tally is closed."""
        before = fold(self.model[stream])
        handled = self.run(
            self.stores[at].handle(decider, stream, lambda tally: [] if tally.closed else [Counted(by)], context())
        )
        if not before.closed:
            self.record(stream, [Counted(by)])
        assert (handled.state, handled.version) == (fold(self.model[stream]), len(self.model[stream]))
        assert handled.events == (() if before.closed else (Counted(by),))

    @rule(at=st.integers(0, 1), stream=streams, decider=DECIDERS, part=st.floats(0, 1))
    def look_back(self, at: int, stream: UUID, decider: Any, part: float) -> None:
        version = round(part * len(self.model[stream]))
        loaded = self.run(self.stores[at].load(decider, stream, as_of=version))
        assert (loaded.state, loaded.version) == (fold(self.model[stream][:version]), version)
        if loaded.recorded_at:
            self.at_that_time(stream, decider, at, loaded.recorded_at)

    def at_that_time(self, stream: UUID, decider: Any, at: int, time: datetime) -> None:
        """The events of one append may have the same time: then all of them had been recorded."""
        recorded = self.run(self.stores[at].read_stream(stream))
        version = sum(event.recorded_at <= time for event in recorded)
        loaded = self.run(self.stores[at].load(decider, stream, as_of=time))
        assert (loaded.state, loaded.version) == (fold(self.model[stream][:version]), version)

    @rule(at=st.integers(0, 1), stream=streams, decider=DECIDERS)
    def load(self, at: int, stream: UUID, decider: Any) -> None:
        loaded = self.run(self.stores[at].load(decider, stream))
        assert (loaded.state, loaded.version) == (fold(self.model[stream]), len(self.model[stream]))

    @invariant()
    def the_sequence_is_what_was_done_in_order(self) -> None:
        recorded: list[RecordedEvent] = self.run(self.stores[0].read_all(self.start))
        assert [(event.stream_id, event.version) for event in recorded] == self.order
        assert [event.event for event in recorded] == [
            self.model[stream][version - 1] for stream, version in self.order
        ]


def fold(events: list[Event]) -> Tally:
    state = Tally()
    for event in events:
        state = evolve(state, event)
    return state


def test_the_store_matches_the_model(database: str) -> None:
    """With the caches of two processes, snapshots and repeated commands."""

    class OnDatabase(StoreAndModel):
        dsn = database

    run_state_machine_as_test(
        OnDatabase,
        settings=settings(max_examples=12, stateful_step_count=25),
    )
