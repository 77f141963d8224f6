"""The user that PostgreSQL runs as when we are root: it refuses to run as root.

In a user namespace that shows root's uid as another one: PostgreSQL can access root's files, but has none of root's
capabilities. So no owner or permission has to change, of the set's folder, the installation or the folders above them,
and no user is added to the machine. Where the kernel allows no user namespaces (as in most containers) it runs as
`nobody`, if that user can access the files that it needs; permissions are never changed for it.
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
    """There is no user that PostgreSQL can run as."""


@dataclass(frozen=True)
class Identity:
    """User and group of a child process that does not run as ours."""

    uid: int
    gid: int
    in_namespace: bool
    """Whether these are the ids within a user namespace; outside of it the process has ours, and so have its files."""

    @property
    def argument(self) -> str:
        """The IDENTITY argument of `launch.py`."""
        return f"namespace:{self.uid}" if self.in_namespace else f"user:{self.uid}:{self.gid}"

    @property
    def owner(self) -> tuple[int, int]:
        """User and group of the files that it creates."""
        return (os.geteuid(), os.getegid()) if self.in_namespace else (self.uid, self.gid)


def for_postgres(*needed: Path) -> Identity | None:
    """None if we are not root. `needed`: folders that it must be able to access. Raises `NoIdentityError`."""
    if os.geteuid() != 0:
        return None
    # initdb looks its uid up, so it must be in the user database. Any one will do.
    users = sorted((user for user in pwd.getpwall() if user.pw_uid > 0), key=lambda user: user.pw_uid)
    if users and namespaces_work(users[0].pw_uid):
        return Identity(users[0].pw_uid, users[0].pw_uid, in_namespace=True)
    nobody = next((user for user in users if user.pw_name == UNPRIVILEGED), None)
    closed = next((folder for path in needed for folder in _closed(path)), None)
    if nobody is not None and closed is None:
        return Identity(nobody.pw_uid, nobody.pw_gid, in_namespace=False)
    raise NoIdentityError(
        "PostgreSQL does not run as root, and this machine allows no user namespaces"
        + (f", and other users can't enter {closed}" if closed else "")
        + ". Run emprops as another user than root"
        + (
            ", or move its data and its installation to folders that all users can enter, as below /srv."
            if closed
            else "."
        )
    )


@functools.cache
def namespaces_work(uid: int) -> bool:
    """Whether the kernel lets us make a user namespace. Tries it, once per process and uid."""
    if sys.platform != "linux":
        return False
    command = [sys.executable, "-I", "-S", str(LAUNCHER), "9", str(os.getpid()), f"namespace:{uid}"]
    completed = subprocess.run([*command, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return completed.returncode == 0


def _closed(path: Path) -> Iterator[Path]:
    """The folders that other users can't enter, among `path` (its parent, if it doesn't exist) and those above it."""
    existing = path if path.exists() else path.parent
    for folder in (existing.resolve(), *existing.resolve().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            yield folder
