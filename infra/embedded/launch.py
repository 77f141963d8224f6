"""Executes a program that the kernel signals when its parent dies: `launch.py SIGNAL PARENT IDENTITY PROGRAM…`.

IDENTITY: `-` keeps ours; `namespace:UID` runs it in a user namespace that shows our uid as UID; `user:UID:GID` changes
to that user. A separate program, because a `preexec_fn` runs between fork and exec in a copy of a process with threads,
where it may deadlock on a lock that another thread held. Linux only, standard library only.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def main() -> None:
    death_signal, parent, identity = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    command = sys.argv[4:]
    kernel = ctypes.CDLL(None, use_errno=True)
    try:
        assume(identity, kernel)
    except OSError as error:
        sys.exit(f"can't run as {identity}: {error}")
    # After the change of user, which clears the death signal.
    kernel.prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # it died before prctl
        sys.exit("the parent is gone")
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def assume(identity: str, kernel: ctypes.CDLL) -> None:
    """Changes this process's user. Raises `OSError`."""
    kind, *numbers = identity.split(":")
    if kind == "user":
        uid, gid = (int(number) for number in numbers)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    elif kind == "namespace":
        uid, gid = os.geteuid(), os.getegid()
        if kernel.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "this machine allows no user namespaces")
        # Without capabilities after exec: the process has the rights of a file's owner, and no more.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{numbers[0]} {gid} 1")
        Path("/proc/self/uid_map").write_text(f"{numbers[0]} {uid} 1")


if __name__ == "__main__":
    main()
