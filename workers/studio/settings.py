"""Settings of the studio, beside those of every worker."""

from workers.kit.settings import Seconds, WorkerSettings


class StudioSettings(WorkerSettings, frozen=True, kw_only=True):
    """WORKER_SERVICES may name sketch, frame and caption; each step runs in a process of its own."""

    render_seconds: Seconds = 120.0
    """After this long a rendering process is killed."""
