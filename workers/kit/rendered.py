"""What a renderer hands back, in a form that crosses from one process to another."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rendered:
    """A file (`data` with its name and type) or a text."""

    kind: Literal["asset", "text"]
    filename: str = ""
    mime_type: str = ""
    data: bytes = b""
    text: str = ""
