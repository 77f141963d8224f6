"""The events of a job's stream, encoded once as server-sent events (WHATWG HTML, section 9.2)."""

from typing import Any
from uuid import UUID

import msgspec

from services.generation.projections.job_events import TERMINAL
from services.generation.views.job import WaitingFor
from shared.contracts.work import Progress
from shared.http.channel import Frame

MAX_PROGRESS_MESSAGE = 1000
"""Characters of a worker's progress message; the rest is cut."""


class JobEvent(Frame, frozen=True, kw_only=True):
    """`id`: its position in the store; None for progress and waits, which are not recorded and so never replayed."""

    event: str
    json: bytes

    @property
    def data(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.json)
        return decoded


def recorded_event(position: int, event: str, data: str) -> JobEvent:
    """An event from its row in `job_events`. The data is JSON without line breaks, as the projector wrote it."""
    json = data.encode()
    return JobEvent(
        id=position,
        encoded=b"id: %d\nevent: %s\ndata: %s\n\n" % (position, event.encode(), json),
        is_last=event == "job_status" and msgspec.json.decode(json)["status"] in TERMINAL,
        event=event,
        json=json,
    )


def progress_event(progress: Progress) -> JobEvent:
    """A worker's progress; out-of-range values are clamped, and long messages cut."""
    data = {
        "job_id": progress.job_id,
        "gid": progress.gid,
        "sid": progress.sid,
        "step_id": progress.component_id,
        "progress": min(max(progress.progress, 0.0), 1.0),
        "message": progress.message[:MAX_PROGRESS_MESSAGE],
    }
    json = msgspec.json.encode(data)
    return JobEvent(id=None, encoded=b"event: node_progress\ndata: %s\n\n" % json, event="node_progress", json=json)


def waiting_event(job_id: UUID, wait: WaitingFor | None) -> JobEvent:
    """What the job waits for; None: it goes on. Not recorded: it may change though nothing happens to the job."""
    json = msgspec.json.encode({"job_id": job_id, "waiting_for": wait})
    return JobEvent(id=None, encoded=b"event: job_waiting\ndata: %s\n\n" % json, event="job_waiting", json=json)
