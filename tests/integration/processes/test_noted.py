"""Events that a process takes at once, without a reaction: in order per stream with those that it reacts to."""

import asyncio
from uuid import UUID, uuid4

from shared.eventstore import EventStore, RecordedEvent
from tests.integration.eventstore.tally import Counted, context, counted
from tests.integration.processes.reacting import QUICK, Reaction, caught_up, running
from tests.support.patience import eventually


def is_even(recorded: RecordedEvent) -> bool:
    assert isinstance(recorded.event, Counted)
    return recorded.event.by % 2 == 0


class Noting:
    """Notes events with even amounts, and reacts to the others once it may."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, UUID, int]] = []
        self.may_react = asyncio.Event()

    def note(self, recorded: RecordedEvent) -> bool:
        if is_even(recorded):
            self.taken.append(("note", recorded.stream_id, recorded.version))
        return is_even(recorded)

    async def react(self, recorded: RecordedEvent) -> None:
        await self.may_react.wait()
        self.taken.append(("react", recorded.stream_id, recorded.version))

    def of(self, stream: UUID) -> list[tuple[str, int]]:
        return [(how, version) for how, other, version in self.taken if other == stream]


async def test_an_event_is_noted_unless_one_of_its_stream_is_in_flight(store: EventStore) -> None:
    """Those of other streams are noted meanwhile, and the checkpoint passes them all in the end."""
    noting, slow, quick = Noting(), uuid4(), uuid4()
    async with running(store, noting.react, note=noting.note) as runner:
        for version, amount in enumerate((2, 1, 2, 2)):
            await store.append(counted(slow, version, amount), context())
        await store.append(counted(quick, 0, 2), context())
        await eventually(lambda: noting.of(quick) == [("note", 1)], "the other stream's event is taken")
        assert noting.of(slow) == [("note", 1)]
        noting.may_react.set()
        expected = [("note", 1), *(("react", version) for version in (2, 3, 4))]
        await eventually(lambda: noting.of(slow) == expected, "the rest is taken in order")
        await store.append(counted(slow, 4, 2), context())
        await eventually(lambda: noting.of(slow) == [*expected, ("note", 5)], "nothing is in flight any more")
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")


async def test_what_a_note_raises_is_treated_as_a_failed_reaction(store: EventStore) -> None:
    """The event is given to `react`, whose failure is retried; later ones of its stream wait."""
    stream, reaction, broken = uuid4(), Reaction(), True
    reaction.fail = lambda recorded: broken and recorded.version == 1
    noted: list[int] = []

    def note(recorded: RecordedEvent) -> bool:
        if recorded.version == 1:
            raise ValueError("this one can't be noted")
        noted.append(recorded.version)
        return True

    async with running(store, reaction, note=note) as runner:
        await store.append(counted(stream, 0, 1), context())
        await store.append(counted(stream, 1, 1), context())
        await eventually(lambda: runner.failing or reaction.failures, "the first one fails")
        assert noted == []
        broken = False
        await eventually(
            lambda: reaction.events or reaction.failures == QUICK.attempts, "it goes through, or is parked"
        )
        assert noted == [], "the second one does not overtake it"
