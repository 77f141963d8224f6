"""Which optional processes a set runs: each has a file in `DATA/wanted`, which the supervisor looks for.

So a process that most sets never use takes no memory until a command requests it.
"""

from pathlib import Path

FOLDER = "wanted"
HTTP_API = "http-api"


def want(data: Path, name: str) -> None:
    """Makes the set in `data` run the process from now on, also after a restart. Idempotent."""
    folder = data.expanduser().resolve() / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name).touch()


def is_wanted(data: Path, name: str) -> bool:
    """Whether `want` was called for this process."""
    return (data / FOLDER / name).exists()
