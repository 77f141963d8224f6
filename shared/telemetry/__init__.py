"""Telemetry of every process: structured logs, trace context and spans, Prometheus metrics."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from shared.telemetry.logging import configure_logging, get_logger
    from shared.telemetry.metrics import create_registry
    from shared.telemetry.tracing import setup_tracing, span

__all__ = ["configure_logging", "create_registry", "get_logger", "setup_tracing", "span"]

__getattr__ = lazily(
    __name__,
    {
        "shared.telemetry.logging": ("configure_logging", "get_logger"),
        "shared.telemetry.metrics": ("create_registry",),
        "shared.telemetry.tracing": ("setup_tracing", "span"),
    },
)
