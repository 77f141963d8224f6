"""Which optional processes of a set are wanted: a file for each in `DATA/wanted`, which the supervisor looks for.

A process that most sets never use takes no memory until somebody wants it, and is there from then on.
"""

from pathlib import Path

FOLDER = "wanted"
HTTP_API = "http-api"


def want(data: Path, name: str) -> None:
    """From here on the set in `data` runs the process, also after a restart. Idempotent."""
    folder = data.expanduser().resolve() / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name).touch()


def is_wanted(data: Path, name: str) -> bool:
    """Whether `want` was called."""
    return (data / FOLDER / name).exists()
