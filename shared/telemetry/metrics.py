"""Prometheus metrics: a process's own, and the time of requests by method, route template and status."""

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def create_registry() -> CollectorRegistry:
    """A registry with the metrics of the process; services add their own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class RequestMetrics:
    """Seconds from a request's arrival to the start of its response; its end says nothing about speed for a stream."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._histogram = Histogram(
            "http_request_seconds",
            "Seconds from a request's arrival to the start of its response",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=registry,
        )
        # Looking a child up by its labels takes a lock and validates them; routes are few.
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request; `route` is the path template, so that the number of labels is bounded."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._histogram.labels(method, route, str(status))
        child.observe(seconds)
