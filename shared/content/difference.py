"""What differs in a package from a valid one, and the files of a package as they were verified."""

from typing import NamedTuple

from shared.content.cid import Cid


class Difference(Exception):  # noqa: N818 - the result of a comparison
    """The first difference from a valid package: `path` in the package, `offset` in bytes in the CAR file.

    `pointer`: the JSON pointer of the member in the file at `path` that is wrong, empty if the whole file is.
    """

    def __init__(self, path: str, offset: int, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.path, self.offset, self.message, self.pointer = path or "/", offset, message, pointer


class VerifiedFile(NamedTuple):
    """A file of the package. `offset`: that of its first block in the CAR file. `kind`: as `media.kind_of` tells."""

    cid: Cid
    size: int
    sha256: str
    offset: int
    kind: str
