"""The fork server that services are forked from: `python -m infra.embedded.fork_server MODULE…`, Linux only.

It imports the modules once, and forks itself for each request that comes over its standard input, a Unix socket to the
supervisor (fork_client.py). The forks share its memory, and start without importing. It has one thread, runs no event
loop, and opens nothing but that socket, so that forks share nothing else.

A fork has its own session, its own log as standard output and error, the requested environment and working directory,
and none of our signal handlers and descriptors. The kernel ends it when we die, as it ends us when the supervisor dies
(launch.py). We report each fork's pid and exit code to the supervisor.
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

MAX_REQUEST = 256 * 1024
"""Bytes of a request."""
DESCRIPTORS = 2
"""File descriptors sent with a request: standard input and the log."""
PR_SET_NAME = 15


class Fork(NamedTuple):
    """In a fork: the request to carry out, the pid of its parent, and the descriptors that came with the request."""

    request: Mapping[str, Any]
    parent: int
    descriptors: list[int]


def main() -> None:
    """Returns only in forks, when the requested module has ended."""
    control = socket.socket(fileno=os.dup(0))
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # the collector would write to the memory that all forks share, and so copy it
    wakeup_reader, wakeup_writer = os.pipe()
    for descriptor in (wakeup_reader, wakeup_writer):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
    _report(control, {"loaded": len(sys.modules)})
    fork = _until_forked(control, wakeup_reader)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    os.close(wakeup_reader)
    os.close(wakeup_writer)
    _become(fork)


def _until_forked(control: socket.socket, wakeup_reader: int) -> Fork:
    """Serves the supervisor's requests; returns only in forks."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wakeup_reader, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    os.read(wakeup_reader, 4096)
                elif (fork := _serve(control)) is not None:
                    return fork
            _reap(control)


def _serve(control: socket.socket) -> Fork | None:
    data, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST, DESCRIPTORS)
    if not data:
        sys.exit(0)  # the supervisor has closed the socket, after it has stopped all forks
    request = json.loads(data)
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        return Fork(request, parent, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _report(control, {"request": request["request"], "pid": pid})
    return None


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _report(control, {"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _report(control: socket.socket, message: Mapping[str, Any]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:
        sys.exit(0)


def _become(fork: Fork) -> None:
    """Runs the module as `python -m` would, up to its exit handlers and the end of its threads."""
    request = fork.request
    os.setsid()
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(PR_SET_PDEATHSIG, int(request["death_signal"]))
    kernel.prctl(PR_SET_NAME, request["name"].encode()[:15])
    if os.getppid() != fork.parent:  # it died before prctl
        sys.exit(1)
    stdin, log = fork.descriptors
    os.dup2(stdin, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in {stdin, log} - {0, 1, 2}:
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    module, *arguments = request["arguments"]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
