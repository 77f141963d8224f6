"""Helpers to read parked events, and a handler that causes them."""

import contextlib
from collections import defaultdict
from uuid import UUID

import psycopg

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from shared.handling.parking import Parked
from tests.integration.messaging.support import (
    Counted,
)


class Picky:
    """A handler that fails on the numbers in `poison`."""

    def __init__(self, *poison: int) -> None:
        self.poison = set(poison)
        self.calls = 0
        self.numbers: defaultdict[UUID, list[int]] = defaultdict(list)

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        self.calls += 1
        if recorded.event.n in self.poison:
            raise ValueError(f"{recorded.event.n} can't be counted")
        self.numbers[recorded.stream_id].append(recorded.event.n)


async def connect(store: EventStore) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(store.dsn, autocommit=True)


async def parked(store: EventStore, *statuses: str) -> list[Parked]:
    async with await connect(store) as connection:
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # its consumer has not started yet
            return await operator_actions.list_parked(
                connection, "tests-v1", statuses=statuses or operator_actions.UNRESOLVED
            )
    return []


def numbers(rows: list[Parked]) -> list[tuple[str, str]]:
    return [(row.status, row.body.decode().partition('"n":')[2].rstrip("}")) for row in rows]


async def all_parked(store: EventStore, number: int) -> list[Parked] | None:
    """For `eventually`: all parked events, once there are `count` of them."""
    rows = await parked(store)
    return rows if len(rows) == number else None
