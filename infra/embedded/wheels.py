"""Finds the programs that wheels have installed."""

from importlib import metadata
from pathlib import Path

from infra.embedded.errors import SetError


class MissingProgramError(SetError):
    """An embedded server is not installed."""


def program(distribution: str, name: str) -> Path:
    """The program `name` that `distribution` installed. Raises `MissingProgramError`."""
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in {name, f"{name}.exe"}:
            return Path(str(file.locate())).resolve()
    raise MissingProgramError(
        f"{name} is not installed: run `pip install 'emprops[embedded]'`, or give *_URL settings."
    )
