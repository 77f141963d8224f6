"""One leader among replicas: leases that expire, with a fencing token, as rows in the service's database.

A process has one connection for all of its leases, and one statement per round: it renews the leases that it holds
every `RENEW_EVERY` seconds, and tries to acquire those that it waits for every `TRY_EVERY`. The clocks of the machines
need not agree: only the database decides when a lease expires, and a holder stops its work by its own monotonic clock
when no renewal that it *sent* within the last `TTL` seconds was answered.

| the holder | another replica leads |
|---|---|
| dies, or releases the lease | at its next try: the session's advisory lock is gone |
| is frozen, or its network forwards nothing | when the lease has expired, `TTL` seconds after the last renewal |
| wakes up later | already: `Lease.fence` in the old holder's transactions raises, its next renewal stops its work |
| has lost something else that it needs (NATS) | after it raised or returned: it pauses before its next try |

The lease alone does not make an effect happen once; the fence does: each write of a leader calls `lease.fence` first.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import psycopg
import structlog

from shared.backoff import Backoff
from shared.eventstore.connections import READS, TRANSIENT_ERRORS, connected, within
from shared.eventstore.watermarks import Watermarks
from shared.stopping import stop

TTL = 10.0
"""Seconds from a renewal until the lease expires. Longer than a transaction may be idle (connections.READS, WORK)."""
RENEW_EVERY = 2.5
"""Seconds between two renewals of the leases that this process holds."""
TRY_EVERY = 0.5
"""Seconds between two tries to acquire a lease that another process holds; a try costs no commit."""
ANSWERS_WITHIN = 2.5
"""Seconds that a round may take."""

KEEP_LEASES = """
select head.position, kept.name, kept.token
from (select coalesce(max(position), 0) as position from events) head
left join keep_leases(%s, %s, %s, %s, %s, %s, %s, make_interval(secs => %s)) kept on true"""
CHECK_FENCE = "select fence(%s, %s)"
SELECT_HOLDER = "select holder from leases where name = %s and expires_at > clock_timestamp()"
FENCED = "EL001"
"""The SQLSTATE that `fence` raises."""

log = structlog.get_logger()


class Fenced(Exception):  # noqa: N818 - what happened to the leader
    """This process no longer holds the lease, or its memory is outdated: the transaction must be rolled back."""


class Lease:
    """A lease that this process holds under a fencing token, until `lost` is set."""

    def __init__(self, name: str, token: int) -> None:
        self.name, self.token = name, token
        self.lost = asyncio.Event()
        self.is_taken = False
        """Whether another process has acquired it: then there is nothing to release."""
        self._end: asyncio.TimerHandle | None = None

    async def fence(self, connection: psycopg.AsyncConnection) -> None:
        """Call it first in each transaction of the leader: no other replica leads until the commit. Raises Fenced."""
        try:
            await connection.execute(CHECK_FENCE, (self.name, self.token))
        except psycopg.Error as error:
            if error.sqlstate == FENCED:
                self.lost.set()
                raise Fenced(str(error)) from error
            raise
        # The token is still valid, but the holder's memory may be outdated because the store went back: see `lose_all`.
        if self.lost.is_set():
            raise Fenced(f"the lease {self.name} was lost")

    def hold_until(self, time: float | None) -> None:
        """Sets `lost` at that time of the event loop's clock, unless called again; None after a release."""
        if self._end:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_at(time, self.lost.set) if time is not None else None


Work = Callable[[Lease], Awaitable[None]]


class Leases:
    """The leases of one process in one database. `holder` is the name that operators see.

    Each round passes the store's last position to `watermarks`, and the end of rounds, too.
    """

    def __init__(self, dsn: str, holder: str = "", *, ttl: float = TTL, watermarks: Watermarks | None = None) -> None:
        self._dsn, self.holder, self._ttl = dsn, holder, ttl
        self._watermarks = watermarks
        self._renew_every = min(RENEW_EVERY, ttl / 4)
        self._held: dict[str, Lease] = {}
        self._wanted: list[tuple[str, asyncio.Future[Lease]]] = []
        self._to_release: list[Lease] = []
        self._change = asyncio.Event()
        self._renewed_at = 0.0

    async def run_as_leader(self, name: str, work: Work) -> None:
        """Calls `work(lease)` whenever this process holds the lease `name`, until cancelled.

        When the lease is lost, `work` is cancelled, and has ended before this process tries to acquire the lease again.
        When `work` raises or returns, the lease is released, and this process pauses, so that another replica acquires
        it.
        """
        backoff = Backoff(f"lease {name}", first=1.5, longest=3.0)
        while True:
            lease = await self._acquire(name)
            log.info("lease_taken", lease=name, token=lease.token)
            try:
                await self._lead(lease, work)
            except Exception as error:
                if str(error) != backoff.error:  # log its traceback once, not at each try
                    log.exception("lease_work_failed", lease=name)
                cause: Exception = error
            else:
                cause = WorkReturnedError("its work has ended")
            finally:
                self._release(lease)
            if lease.lost.is_set():
                log.warning("lease_lost", lease=name, token=lease.token)
                backoff.reset()
            else:
                await backoff.pause(cause)

    def lose_all(self) -> None:
        """Makes all work start over because the store went back: positions in its memory are of an earlier epoch."""
        for lease in self._held.values():
            lease.lost.set()

    async def leader(self, name: str, connection: psycopg.AsyncConnection) -> str | None:
        """The holder of the lease; None when no process holds it."""
        row = await (await connection.execute(SELECT_HOLDER, (name,))).fetchone()
        return str(row[0]) if row else None

    async def run(self) -> None:
        """Renews and acquires leases until cancelled; reconnects after each outage of PostgreSQL."""
        await Backoff("leases", on=TRANSIENT_ERRORS, first=0.1, longest=0.5).repeat(self._use_one_connection)

    async def _acquire(self, name: str) -> Lease:
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._wanted.append((name, future))
        self._change.set()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled():  # it was acquired in the same moment
                self._release(future.result())
            raise
        finally:
            self._wanted.remove((name, future))

    async def _lead(self, lease: Lease, work: Work) -> None:
        task = asyncio.ensure_future(work(lease))
        lost = asyncio.ensure_future(lease.lost.wait())
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        finally:
            await stop(task, lost)

    def _release(self, lease: Lease) -> None:
        lease.hold_until(None)
        if self._held.get(lease.name) is lease:
            del self._held[lease.name]
            if not lease.is_taken:
                self._to_release.append(lease)
            self._change.set()

    async def _use_one_connection(self) -> None:
        while not (self._wanted or self._held):  # connect only when there is a lease to acquire
            self._change.clear()
            await self._change.wait()
        self._to_release.clear()  # the last connection's end released them
        async with connected(self._dsn, "leases", READS, autocommit=True, prepare_threshold=0) as connection:
            is_new = True
            try:
                while True:
                    self._change.clear()  # before the round, which may not see what changes during it
                    await self._round(connection, is_new=is_new)
                    is_new = False
                    await self._wait_for_next_round()
            except asyncio.CancelledError:
                await self._stop_all_work()
                raise
            finally:
                if self._watermarks:
                    self._watermarks.notifications_lost()

    async def _stop_all_work(self) -> None:
        """Stops all work before the connection's end releases the leases; waits for `ttl` seconds at most."""
        self.lose_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ttl):
                while self._held:
                    self._change.clear()
                    await self._change.wait()

    async def _wait_for_next_round(self) -> None:
        seconds = TRY_EVERY if self._wanted else self._renew_every
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._change.wait()

    async def _round(self, connection: psycopg.AsyncConnection, *, is_new: bool) -> None:
        now = asyncio.get_running_loop().time()
        renews = is_new or now - self._renewed_at >= self._renew_every
        renewed = [lease for lease in self._held.values() if not lease.lost.is_set()] if renews else []
        to_release, self._to_release = self._to_release, []
        # Not those that this process holds: PostgreSQL would grant this session their locks once more.
        to_acquire = list({name: None for name, future in self._wanted if not future.done() and name not in self._held})
        if not (renewed or to_release or to_acquire):
            return
        arguments = (
            *([lease.name for lease in renewed], [lease.token for lease in renewed], is_new),
            *([lease.name for lease in to_release], [lease.token for lease in to_release]),
            *(to_acquire, self.holder, self._ttl),
        )
        async with within(min(ANSWERS_WITHIN, self._ttl / 2), connection):
            rows = await (await connection.execute(KEEP_LEASES, arguments)).fetchall()
        tokens: dict[str, int] = {name: token for _, name, token in rows if name is not None}
        if self._watermarks:
            self._watermarks.database_reached(rows[0][0])
        if renews:
            self._renewed_at = now
        for lease in renewed:
            if tokens.pop(lease.name, None) == lease.token:
                lease.hold_until(now + self._ttl)
            else:
                lease.is_taken = True
                lease.lost.set()
        for name, token in tokens.items():
            self._take(Lease(name, token), now)

    def _take(self, lease: Lease, now: float) -> None:
        waiting = (future for name, future in self._wanted if name == lease.name and not future.done())
        future = next(waiting, None)
        if future is None:  # its caller has gone
            self._to_release.append(lease)
            return
        self._held[lease.name] = lease
        lease.hold_until(now + self._ttl)
        future.set_result(lease)


class WorkReturnedError(Exception):
    """A leader's work returned, so its lease was released without an error."""


class HasLeases(Protocol):
    """A store, or a test's replacement of it."""

    @property
    def leases(self) -> Leases:
        """The leases of this process."""


async def run_as_leader(store: HasLeases, name: str, work: Work) -> None:
    """See `Leases.run_as_leader`."""
    await store.leases.run_as_leader(name, work)
