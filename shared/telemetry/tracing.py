"""Trace context (W3C Trace Context) and, where OTEL_EXPORTER_OTLP_ENDPOINT is set, OpenTelemetry spans.

Without an exporter, the traceparent is passed on with a new span id, so that logs, events and messages of one request
have the same trace id.
"""

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_TRACEPARENT = re.compile(
    r"^(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?:$|-)"
)

Kind = Literal["server", "client", "producer", "consumer", "internal"]

_tracer: "Tracer | None" = None


def setup_tracing(*, service: str, instance: str = "") -> "TracerProvider | None":
    """Exports spans over OTLP/HTTP if OTEL_EXPORTER_OTLP_ENDPOINT is set; `shutdown()` of the result flushes them."""
    global _tracer  # noqa: PLW0603 - one exporter per process, as OpenTelemetry itself has it
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    # Imported here, because the exporter loads requests and protobuf, which a process without one does not need.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as said above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as said above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as said above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as said above

    resource = Resource.create({"service.name": f"emprops-{service}", "service.instance.id": instance})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("emprops")
    return provider


def continue_trace(traceparent: str | None) -> str:
    """The traceparent of a new span: in the trace of `traceparent`, or in a new trace if that is None or not valid."""
    if traceparent is not None and (parent := _TRACEPARENT.match(traceparent)):
        return f"00-{parent['trace']}-{os.urandom(8).hex()}-{parent['flags']}"
    random_hex = os.urandom(24).hex()
    return f"00-{random_hex[:32]}-{random_hex[32:]}-01"


class Span:
    """A span that is recorded; without an exporter, only its traceparent."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, name: str, traceparent: str | None, kind: Kind) -> None:
        if _tracer is None:
            self._span = None
            self.traceparent = continue_trace(traceparent)
            return
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only with an exporter, as above
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as said above

        parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent or ""})
        self._span = _tracer.start_span(name, context=parent, kind=SpanKind[kind.upper()])
        context = self._span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def end(self, *, name: str | None = None, error: str | None = None, **attributes: Any) -> None:
        """Ends the span; attribute names use `__` for the dot, as `http__route`."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only with an exporter, as above

        if name is not None:
            self._span.update_name(name)
        for key, value in attributes.items():
            self._span.set_attribute(key.replace("__", "."), value)
        if error is not None:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the span with the block; an exception marks it as failed."""
        self.end(error=kind.__name__ if kind is not None else None)


def span(name: str, *, traceparent: str | None = None, kind: Kind = "internal") -> Span:
    """A span for a `with` block."""
    return Span(name, traceparent, kind)


def inject(headers: dict[str, str], traceparent: str | None) -> dict[str, str]:
    """Adds the traceparent to the headers unless it is None, and returns them."""
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def extract(headers: Mapping[str, str] | None) -> str | None:
    """A valid traceparent from headers whose names are lower case; None otherwise."""
    value = (headers or {}).get("traceparent")
    return value if value is not None and _TRACEPARENT.match(value) else None
