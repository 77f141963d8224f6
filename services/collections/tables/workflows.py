"""The workflows that generation has registered, and the fields that each requires: known from its events.

Generation decides on its own definitions whether a job can run. This table is for publishing, which must not ask it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from shared.contracts.generation import WorkflowRegistered
from shared.contracts.workflow_forms import RequiredField, required_fields
from shared.eventstore import EventStore

# After a restore of generation's database, versions are counted again: then the later event counts.
UPSERT_WORKFLOW: LiteralString = """
insert into known_workflows as w (name, version, required, recorded_at) values (%s, %s, %s, %s)
on conflict (name) do update
set version = excluded.version, required = excluded.required, recorded_at = excluded.recorded_at
where excluded.recorded_at >= w.recorded_at"""

SELECT_WORKFLOWS: LiteralString = "select name, required from known_workflows"


class KnownWorkflows:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, event: WorkflowRegistered, recorded_at: datetime) -> None:
        """Idempotent."""
        required = msgspec.json.encode(required_fields(event.definition)).decode()
        async with self._store.pool.connection() as connection:
            await connection.execute(UPSERT_WORKFLOW, (event.name, event.version, required, recorded_at))

    async def required(self) -> Mapping[str, Sequence[RequiredField]]:
        """The required fields of each workflow, by its name; empty until an event of a workflow has arrived."""
        rows = await self._store.pool.rows(SELECT_WORKFLOWS, ())
        return {name: msgspec.json.decode(fields, type=list[RequiredField]) for name, fields in rows}
