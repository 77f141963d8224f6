"""Becomes another program that the kernel ends when its parent dies: `launch.py SIGNAL PARENT IDENTITY PROGRAM…`.

IDENTITY: `-` keeps ours; `namespace:UID` shows the program another user id while its files stay ours; `user:UID:GID`
becomes that user. A program of its own and no `preexec_fn`: that runs between fork and exec in a copy of a process with
threads, where it may wait for ever for a lock that nobody holds any more. Linux only, standard library only.
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
        take(identity, kernel)
    except OSError as error:
        sys.exit(f"can't run as {identity}: {error}")
    # After the change of user, which would clear it.
    kernel.prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # it died before we asked
        sys.exit("the parent is gone")
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def take(identity: str, kernel: ctypes.CDLL) -> None:
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
        # Within, we are shown as that number, and may do no more than the owner of a file may.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{numbers[0]} {gid} 1")
        Path("/proc/self/uid_map").write_text(f"{numbers[0]} {uid} 1")


if __name__ == "__main__":
    main()
