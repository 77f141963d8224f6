"""Users' JSON is stored in read tables byte for byte."""

import random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.eventstore import Codec, EventStore, RecordedEvent, StreamAppend
from shared.projections import Projection, rebuild
from shared.projections.table import Table
from tests.integration.eventstore.tally import TallyEvent, context
from tests.integration.projections.tables import projecting
from tests.support.patience import PATIENCE

ODD_NUMBERS = [1e22, -0.0, 1e308, 5e-324, 0.1, 1e16, 123456789012345680.0, 2**53 + 1, -(2**70), 10**300, 0, 1.0]
DOCUMENTS = 300

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(ODD_NUMBERS),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(texts, values, max_size=5)


class Said(TallyEvent, frozen=True, tag="tally_said.v1"):
    document: dict[str, Any]


class SaidRow(msgspec.Struct, frozen=True):
    id: UUID
    first: dict[str, Any]
    last: dict[str, Any]
    all: list[dict[str, Any]]


def project_said(row: SaidRow | None, recorded: RecordedEvent) -> SaidRow:
    assert isinstance(recorded.event, Said)
    document = recorded.event.document
    if row is None:
        return SaidRow(recorded.stream_id, document, document, [document])
    return SaidRow(row.id, row.first, document, [*row.all, document])


SAYINGS = Projection(
    name="sayings",
    version=1,
    row=SaidRow,
    key=("id",),
    ddl='create table {table} (id uuid primary key, first json not null, last json not null, "all" json not null)',
    events=(Said,),
    keys=lambda recorded: [(recorded.stream_id,)],
    project=project_said,
)
CODEC = Codec([Said])
STORED: Any = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def test_json_is_stored_byte_for_byte(database: str) -> None:
    """When written, read by the fold and written again, and rebuilt: always the text of the event."""
    samples: list[dict[str, Any]] = []

    @settings(max_examples=DOCUMENTS, database=None)
    @given(documents)
    def draw(document: dict[str, Any]) -> None:
        samples.append(document)

    draw()
    samples += [{"n": number, "list": [number, {"z": number, "a": number}]} for number in ODD_NUMBERS]
    random.Random(7).shuffle(samples)
    async with EventStore.open(database, CODEC) as store:
        async with projecting(store, SAYINGS) as projector:
            for begin in range(0, len(samples), 3):
                stream = uuid4()
                for version, document in enumerate(samples[begin : begin + 3]):
                    appended = await store.append([StreamAppend(stream, version, [Said(document)])], context())
            assert await projector.caught_up(appended.position, PATIENCE)
        await assert_exact(store)
        assert (await rebuild(store, SAYINGS)).same
        await assert_exact(store)


async def assert_exact(store: EventStore) -> None:
    recorded = await store.read_all(limit=10_000)
    documents_of: dict[UUID, list[bytes]] = {}
    for event in recorded:
        documents_of.setdefault(event.stream_id, []).append(bytes(STORED.decode(event.data)["document"]))
    rows = await store.pool.rows("""select id, first::text, last::text, "all"::text from sayings_v1""", ())
    assert len(rows) == len(documents_of) > 0
    for stream, first, last, every in rows:
        texts = documents_of[stream]
        assert (first.encode(), last.encode(), every.encode()) == (texts[0], texts[-1], b"[" + b",".join(texts) + b"]")
        # And as a query has it, whose rows become an answer's JSON.
    for stream, first in await store.pool.rows("select id, first from sayings_v1", ()):
        assert msgspec.json.encode(first) == documents_of[stream][0]


async def test_a_jsonb_column_is_rejected(database: str) -> None:
    """When the projector starts, since it changes some numbers."""
    binary = Projection(
        name="binary",
        version=1,
        row=SaidRow,
        key=("id",),
        ddl=SAYINGS.ddl.replace("json", "jsonb"),
        events=(Said,),
        keys=SAYINGS.keys,
        project=SAYINGS.project,
    )
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await Table.create(connection, binary, binary.table)
        with pytest.raises(TypeError, match="jsonb changes numbers"):
            await Table.open(connection, binary)
