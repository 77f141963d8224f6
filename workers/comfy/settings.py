"""Settings of the ComfyUI worker, beside those of every worker."""

from typing import Annotated

import msgspec

from workers.kit.settings import Seconds, WorkerSettings


class ComfySettings(WorkerSettings, frozen=True, kw_only=True):
    """WORKER_CONCURRENCY has no effect: the worker takes as many steps as its servers may run."""

    comfy_urls: str
    """The servers, comma-separated: `http://a:8188,http://b:8188#2`. Behind `#`: runs at a time on that server."""
    comfy_concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Runs at a time on a server whose URL does not say it."""
    comfy_away_seconds: Seconds = 60.0
    """How long a server may be away in the middle of a run; then the attempt fails, and another may use another
    server."""
    comfy_wait_seconds: Seconds = 120.0
    """How long a graph waits while no server that can run it answers."""
    comfy_output_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1024 * 1024 * 1024
    """The largest file that is taken from a server."""
    comfy_max_outputs: Annotated[int, msgspec.Meta(ge=1)] = 200
    """Files and texts of one run."""
