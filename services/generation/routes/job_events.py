"""Following a job."""

from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import Stream

from services.generation.event_stream.hub import JobEventHub
from services.generation.event_stream.sse import MEDIA_TYPE, last_event_id, stream
from services.generation.queries.job import Queries
from services.generation.routes.owners import owner_of
from shared.http import ApiRequest, FromPath, User


@get("/jobs/{job_id:uuid}/events", summary="Follow a job (SSE)", media_type=MEDIA_TYPE)
async def follow_job(
    job_id: FromPath[UUID],
    principal: User,
    request: ApiRequest,
    queries: NamedDependency[Queries],
    hub: NamedDependency[JobEventHub],
) -> Response[Any]:
    """Events `job_status`, `job_paused`, `node_started`, `node_completed`, `image_generated`, `error`, `node_progress`.

    And `job_waiting`, with what the job waits for (`waiting_for`) while nothing of it is in progress, or null when it
    goes on, and `gap`. All but `node_progress`, `job_waiting` and `gap` have an id, their position in history;
    `Last-Event-ID` replays those after it. If this history has no such event (it was restored to an earlier time), the
    stream begins with `gap`, and all events follow. Of each step there are at most two `node_progress` in a second. The
    terminal `job_status` ends the stream; after it, 204.
    """
    after, lost_id = last_event_id(request.headers), None
    summary = await queries.job_summary(job_id, owner_of(principal))
    if after > (last := await queries.last_event(job_id)):
        # An id of another stream, or of a history that was lost in a restore: replay all.
        after, lost_id = 0, after
    elif summary.completed_at is not None and after == last:
        return Response(None, status_code=204)
    # The edge reads `emprops-stream-after` to let followers that begin at the same position share one stream.
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no", "emprops-stream-after": str(after)}
    return Stream(stream(hub, job_id, after, lost_id=lost_id), media_type=MEDIA_TYPE, headers=headers)
