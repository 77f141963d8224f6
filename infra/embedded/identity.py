"""As whom PostgreSQL runs when we are root, which it refuses to run as.

In a user namespace where root's own files belong to another number: then nothing has to be given to another user or
opened for one, neither the set's folder nor the installation nor a folder above them, and no user is added to the
machine. It keeps root's files and none of root's capabilities. Where the kernel allows no namespaces (a container, as a
rule) it runs as `nobody`, if that user can reach what it needs; permissions are never changed for it.
"""

import functools
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.errors import SetError

LAUNCHER = Path(__file__).with_name("launch.py")
UNPRIVILEGED = "nobody"


class NoIdentityError(SetError):
    """There is nobody whom PostgreSQL could run as."""


@dataclass(frozen=True)
class Identity:
    """Of a child process, beside our own."""

    uid: int
    gid: int
    in_namespace: bool
    """Whether that is only what the program is shown, while its files belong to us."""

    @property
    def argument(self) -> str:
        """For `launch.py`."""
        return f"namespace:{self.uid}" if self.in_namespace else f"user:{self.uid}:{self.gid}"

    @property
    def owner(self) -> tuple[int, int]:
        """Whose its files are."""
        return (os.geteuid(), os.getegid()) if self.in_namespace else (self.uid, self.gid)


def for_postgres(*needed: Path) -> Identity | None:
    """None where our own will do. `needed`: what it has to reach. Raises `NoIdentityError`, which says what to do."""
    if os.geteuid() != 0:
        return None
    # initdb looks its user up by number, so it is one that the machine knows. Which one, does not matter.
    known = sorted((entry for entry in pwd.getpwall() if entry.pw_uid > 0), key=lambda entry: entry.pw_uid)
    if known and namespaces_work(known[0].pw_uid):
        return Identity(known[0].pw_uid, known[0].pw_uid, in_namespace=True)
    nobody = next((entry for entry in known if entry.pw_name == UNPRIVILEGED), None)
    closed = next((folder for path in needed for folder in _closed(path)), None)
    if nobody is not None and closed is None:
        return Identity(nobody.pw_uid, nobody.pw_gid, in_namespace=False)
    raise NoIdentityError(
        "PostgreSQL does not run as root, and this machine allows no user namespaces"
        + (f", while {closed} is closed to other users" if closed else "")
        + ". Run emprops as an ordinary user"
        + (", or keep its folder and its installation where others may enter, such as below /srv." if closed else ".")
    )


@functools.cache
def namespaces_work(uid: int) -> bool:
    """Whether the kernel lets us make one: seen by trying."""
    if sys.platform != "linux":
        return False
    command = [sys.executable, "-I", "-S", str(LAUNCHER), "9", str(os.getpid()), f"namespace:{uid}"]
    tried = subprocess.run([*command, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return tried.returncode == 0


def _closed(path: Path) -> Iterator[Path]:
    """The folders on the way to `path`, and itself, that other users can't enter."""
    there = path if path.exists() else path.parent
    for folder in (there.resolve(), *there.resolve().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            yield folder
