"""JSON logs, one line per entry, each with the service, its instance and the correlation id of its request or event.

The standard library's loggers (uvicorn, FastStream, aiohttp) write through the same processors. Secrets are replaced by
`***` in all entries: values of fields whose names mark them as secret, credentials in URLs, and bearer tokens.
"""

import contextlib
import io
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec
import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

correlation: ContextVar[str | None] = ContextVar("correlation", default=None)
"""The correlation id of the request or event being handled by this task."""

_level = logging.INFO

_SECRET_NAME = re.compile(r"(?i)passw|secret|token|authorization|cookie|credential|api_?key|private")
_SECRET_VALUES = (
    (re.compile(r"(?i)([a-z][a-z0-9+.\-]*://[^\s/:@]*):[^\s@/]+@"), r"\1:***@"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)\b(password|secret)=\S+"), r"\1=***"),
    (re.compile(r"(?i)\b(X-Amz-Signature)=\w+"), r"\1=***"),
)

Entry = MutableMapping[str, Any]


def strike_secrets(text: str) -> str:
    """The text with `***` in place of credentials in URLs, bearer tokens, `password=` settings and URL signatures."""
    for pattern, replacement in _SECRET_VALUES:
        text = pattern.sub(replacement, text)
    return text


def _redact(_logger: Any, _method: str, entry: Entry) -> Entry:
    for key, value in entry.items():
        if _SECRET_NAME.search(key):
            entry[key] = "***"
        elif isinstance(value, str):
            entry[key] = strike_secrets(value)
        elif not isinstance(value, int | float | bool | None):
            entry[key] = strike_secrets(str(value))
    return entry


def _correlate(_logger: Any, _method: str, entry: Entry) -> Entry:
    if (current := correlation.get()) is not None:
        entry.setdefault("correlation_id", current)
    return entry


def _identify(service: str, instance: str) -> Callable[[Any, str, Entry], Entry]:
    def add(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry.pop("color_message", None)  # uvicorn's second copy of its message, for terminals
        if (logger_name := entry.pop("logger", None)) is not None:
            entry["source"] = logger_name
        entry["service"] = service
        entry["instance"] = instance
        return entry

    return add


def _render(_logger: Any, _method: str, entry: Entry) -> str:
    return msgspec.json.encode(entry, enc_hook=str).decode()


class LossyStream(io.TextIOBase):
    """A stream that drops what it can't write and raises no OSError: a full disk must not end a loop that logs."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Writes the text, or counts it as lost; the next successful write is preceded by an entry with that count."""
        try:
            if self._lost:
                self._stream.write(f'{{"event":"lines_lost","lines":{self._lost}}}\n')
                self._lost = 0
            self._stream.write(text)
        except OSError:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Flushes the stream; raises no OSError."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure_logging(*, service: str, instance: str = "", level: str = "info", stream: TextIO | None = None) -> None:
    """Sets up structlog and the standard library's root logger for this process.

    `level` is debug, info, warning or error. At debug, every HTTP request is logged.
    """
    global _level  # noqa: PLW0603 - a process has one set of logs
    _level = number = logging.getLevelNamesMapping()[level.upper()]
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _identify(service, instance),
        _correlate,
        structlog.processors.format_exc_info,
        _redact,
    ]
    out = LossyStream(stream or sys.stdout)
    structlog.configure(
        processors=[*common, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", out)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.INFO))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"


def is_debugging() -> bool:
    """Whether debug entries are written, for hot paths in which the call of a disabled logger takes too long."""
    return _level <= logging.DEBUG


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose entries have `source: name`. It may be created before `configure_logging` is called."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(source=name))
