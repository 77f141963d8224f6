"""The workflows that generation has registered, and the fields that each requires: known from its events.

Generation decides on its own definitions whether a job can run. This table is for publishing, which must not ask it.
What is published was made by a workflow as it was then, so a field counts as required if all its versions require it.
"""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import msgspec

from shared.contracts.generation import WorkflowRegistered
from shared.contracts.workflow_forms import RequiredField, required_fields
from shared.eventstore import EventStore

INSERT_WORKFLOW: LiteralString = """
insert into known_workflows (name, required) values (%s, %s) on conflict (name) do nothing"""

LOCK_REQUIRED: LiteralString = "select required from known_workflows where name = %s for update"

UPDATE_REQUIRED: LiteralString = "update known_workflows set required = %s where name = %s"

SELECT_WORKFLOWS: LiteralString = "select name, required from known_workflows"


class KnownWorkflows:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, event: WorkflowRegistered) -> None:
        """Records a version. Idempotent, and the order of versions does not matter."""
        required = required_fields(event.definition)
        async with self._store.pool.connection() as connection:
            inserted = await connection.execute(INSERT_WORKFLOW, (event.name, _encoded(required)))
            if inserted.rowcount:
                return
            row = await (await connection.execute(LOCK_REQUIRED, (event.name,))).fetchone()
            assert row is not None, "no workflow is ever deleted"
            ids = {field.id for field in required}
            common = [field for field in _decoded(row[0]) if field.id in ids]
            await connection.execute(UPDATE_REQUIRED, (_encoded(common), event.name))

    async def required(self) -> Mapping[str, Sequence[RequiredField]]:
        """The required fields of each workflow, by its name; empty until an event of a workflow has arrived."""
        rows = await self._store.pool.rows(SELECT_WORKFLOWS, ())
        return {name: _decoded(fields) for name, fields in rows}


def _encoded(fields: Sequence[RequiredField]) -> str:
    return msgspec.json.encode(fields).decode()


def _decoded(text: str) -> list[RequiredField]:
    return msgspec.json.decode(text, type=list[RequiredField])
