"""What a handler returns beside texts: files and JSON values. Nothing is imported, so renderers load it cheaply."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class File:
    """A file to upload: bytes, or a path on this machine, which is read while it is sent and not deleted."""

    name: str
    mime_type: str
    data: bytes | Path

    def read(self) -> bytes:
        """The whole content. Raises OSError."""
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


@dataclass(frozen=True)
class Json:
    """Any JSON value as an output."""

    value: Any
