"""The history of a collection, in the API."""

from datetime import datetime
from typing import Any

import msgspec

from services.collections.domain.collection.history import sentence_of
from shared.eventstore import RecordedEvent


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a collection: `text` as a sentence, `changes` as values.

    Revised instructions are not among the changes: `GET /collections/{id}?as_of=<version>` has them. Of a series, they
    have the job and the number of artworks: `GET /collections/{id}/tokens` lists them.
    """

    version: int
    actor: str
    """`user:<uuid>`, or a part of the service, such as `schedule`."""
    at: datetime
    type: str
    text: str
    changes: dict[str, Any]


def history_entry(recorded: RecordedEvent) -> HistoryEntry:
    values = msgspec.to_builtins(recorded.event)
    if series := values.get("series"):
        values["series"] = {"job_id": series["job_id"], "artworks": len(series["gids"])}
    return HistoryEntry(
        version=recorded.version,
        actor=recorded.context.actor,
        at=recorded.recorded_at,
        type=recorded.type,
        text=sentence_of(recorded.event),
        changes={name: value for name, value in values.items() if name not in {"type", "collection_id", "data"}},
    )
