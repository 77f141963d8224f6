"""Metrics of a worker's attempts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.telemetry.metrics import BUCKETS


class WorkerMetrics:
    """Registers them; the names are those of all workers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge("worker_steps_running", "Steps being worked on", registry=registry)
        self.malformed = Counter("worker_malformed_messages", "Messages that could not be read", registry=registry)
        self._steps = Counter(
            "worker_steps", "Attempts that ended", ("service_required", "status", "code"), registry=registry
        )
        self._seconds = Histogram(
            "worker_step_seconds", "Seconds of an attempt", ("service_required",), buckets=BUCKETS, registry=registry
        )

    def finished(self, service: str, status: str, code: str, seconds: float) -> None:
        """Counts an attempt that has ended. `code`: of its error, or empty."""
        self._steps.labels(service, status, code).inc()
        self._seconds.labels(service).observe(seconds)
