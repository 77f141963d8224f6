"""The process that the services are forked from: `python -m infra.embedded.nursery MODULE…`, Linux only.

It imports the modules once, freezes what they are, and forks itself for each request that comes over its standard
input, a Unix socket whose other end is the supervisor's (nursing.py). The forks share its memory, and none of them pays
for the imports. It has one thread, runs no event loop, and opens nothing but that socket, so that nothing is shared by
accident.

A fork is what a process of its own would be: it has a session of its own, its own log as standard output and error, the
environment and folder that it is given, and no handler or descriptor of ours; the kernel ends it when we die, as it
ends us when the supervisor dies (launch.py). We tell the supervisor of each fork, and how it ended.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.embedded.launch import PR_SET_PDEATHSIG

LARGEST = 256 * 1024
"""Bytes of a request."""
DESCRIPTORS = 2
"""Standard input and the log, which come with a request."""
PR_SET_NAME = 15


class Fork(NamedTuple):
    """What a fork is to become."""

    request: Mapping[str, Any]
    parent: int
    descriptors: list[int]


def main() -> None:
    """Returns in forks only, when the module that they were made for has ended."""
    control = socket.socket(fileno=os.dup(0))
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # the collector leaves alone what all forks share
    woken, wakes = os.pipe()
    for descriptor in (woken, wakes):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    _tell(control, {"loaded": len(sys.modules)})
    fork = _until_forked(control, woken)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    os.close(woken)
    os.close(wakes)
    _become(fork)


def _until_forked(control: socket.socket, woken: int) -> Fork:
    """Serves the supervisor's requests; only forks return."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    os.read(woken, 4096)
                elif (fork := _serve(control)) is not None:
                    return fork
            _reap(control)


def _serve(control: socket.socket) -> Fork | None:
    data, descriptors, _, _ = socket.recv_fds(control, LARGEST, DESCRIPTORS)
    if not data:
        sys.exit(0)  # the supervisor has closed it: it wants no more, and has stopped what there was
    request = json.loads(data)
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        return Fork(request, parent, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _tell(control, {"request": request["request"], "pid": pid})
    return None


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _tell(control, {"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(control: socket.socket, what: Mapping[str, Any]) -> None:
    try:
        control.send(json.dumps(what).encode())
    except OSError:
        sys.exit(0)


def _become(fork: Fork) -> None:
    """Runs the module as `python -m` would. It ends as any program does, its exit handlers and threads included."""
    request = fork.request
    os.setsid()
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(PR_SET_PDEATHSIG, int(request["death_signal"]))
    kernel.prctl(PR_SET_NAME, request["name"].encode()[:15])
    if os.getppid() != fork.parent:  # it died before we asked
        sys.exit(1)
    given, log = fork.descriptors
    os.dup2(given, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in {given, log} - {0, 1, 2}:
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    module, *arguments = request["arguments"]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
