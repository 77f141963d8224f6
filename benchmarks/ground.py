"""What rows run on: servers, a running set and a folder, each started when a row first needs it."""

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from benchmarks import servers
from benchmarks.workshop import Workshop
from infra.embedded.postgres import PostgresServer
from tests.support.running_set import RunningSet

N = TypeVar("N", int, float)


class Ground:
    """`quick`: small sizes that show only whether a row works; its figures mean nothing.

    `rows`: rows of the read table of LOCKS; None for the default.
    """

    def __init__(
        self,
        directory: Path,
        stack: contextlib.ExitStack,
        *,
        quick: bool,
        rows: int | None,
        say: Callable[[str], None],
    ) -> None:
        self.directory, self.quick, self.rows, self.say = directory, quick, rows, say
        self._stack = stack

    def size(self, full: N, quick: N) -> N:
        return quick if self.quick else full

    @cached_property
    def postgres(self) -> PostgresServer:
        """A server beside that of the set; with fsync, as that one."""
        return self._stack.enter_context(servers.postgres(self.directory))

    @property
    def postgres_pid(self) -> int:
        """The pid of the postmaster, the parent of all its sessions."""
        return int((self.postgres.directory / "postmaster.pid").read_text().split()[0])

    @cached_property
    def nats_url(self) -> str:
        return self._stack.enter_context(servers.nats(self.directory))

    def database(self, name: str) -> str:
        """The DSN of an empty database."""
        return servers.database(self.postgres, name)

    @cached_property
    def running(self) -> RunningSet:
        """The set that rows share, as `emprops up` runs it."""
        self.say("starting a set …")
        running = RunningSet(self.directory / "set")
        self._stack.callback(running.close)
        running.up()
        return running

    @cached_property
    def workshop(self) -> Workshop:
        """Jobs on that set."""
        return Workshop(self.running)


@contextlib.contextmanager
def ground(*, quick: bool, rows: int | None, say: Callable[[str], None]) -> Iterator[Ground]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(servers.folder())
        yield Ground(directory, stack, quick=quick, rows=rows, say=say)
