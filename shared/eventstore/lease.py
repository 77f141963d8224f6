"""One active among replicas: leases with an end and a fencing token, as rows in the service's database.

A process has one connection for all of its leases, and one statement per round: it renews what it holds every
`RENEW_EVERY` seconds, and looks every `LOOK_EVERY` for what it wants. Clocks don't matter: ends are reckoned by the
database alone, and a holder stops its work by its own monotonic clock when no renewal that it *sent* within `TTL` has
been answered.

| the holder | another replica leads |
|---|---|
| dies, or lets go | at its next look: the session's advisory lock is gone |
| is frozen, or its network forwards nothing | when the lease has expired, `TTL` seconds after the last renewal |
| wakes up | and is fenced: `Lease.fence` in its transactions fails, its next renewal too, its work is stopped |
| has lost what else it needs (NATS) | it raises or returns: lets go, and waits before it wants the lease again |

A fence, not the lease, is what makes an effect happen once: whatever a leader writes goes through `lease.fence`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import psycopg
import structlog

from shared.backoff import Backoff
from shared.eventstore.connections import PASSING, READS, connected, within
from shared.eventstore.watermarks import Watermarks
from shared.stopping import stop

TTL = 10.0
"""Seconds that a lease lasts after the renewal. Longer than a transaction may stand idle (connections.READS, WORK)."""
RENEW_EVERY = 2.5
LOOK_EVERY = 0.5
"""Seconds between two looks for a lease that another process holds; it costs no commit."""
ANSWERS_WITHIN = 2.5

KEEP = """
select head.position, kept.name, kept.token
from (select coalesce(max(position), 0) as position from events) head
left join keep_leases(%s, %s, %s, %s, %s, %s, %s, make_interval(secs => %s)) kept on true"""
FENCE = "select fence(%s, %s)"
HOLDER = "select holder from leases where name = %s and expires_at > clock_timestamp()"
FENCED = "EL001"

log = structlog.get_logger()


class Fenced(Exception):  # noqa: N818 - what has happened to a leader
    """Another process holds the lease by now: this transaction must not happen."""


class Lease:
    """Held under a token, until `lost` is set."""

    def __init__(self, name: str, token: int) -> None:
        self.name, self.token = name, token
        self.lost = asyncio.Event()
        self.is_taken = False
        """By another process: there is nothing to be let go any more."""
        self._end: asyncio.TimerHandle | None = None

    async def fence(self, connection: psycopg.AsyncConnection) -> None:
        """First in each transaction of the leader: raises Fenced, or keeps others from leading until it has ended."""
        try:
            await connection.execute(FENCE, (self.name, self.token))
        except psycopg.Error as error:
            if error.sqlstate == FENCED:
                self.lost.set()
                raise Fenced(str(error)) from error
            raise
        # Under the same token, but what its holder remembers may be of another life of the store: see `lose_all`.
        if self.lost.is_set():
            raise Fenced(f"the lease {self.name} was lost")

    def hold_until(self, time: float | None) -> None:
        """By the event loop's clock; None when it has been let go."""
        if self._end:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_at(time, self.lost.set) if time is not None else None


Work = Callable[[Lease], Awaitable[None]]


class Leases:
    """Of one process on one database. `holder` is what operators see of it.

    `watermarks` are told the store's last position by each round, and when rounds end.
    """

    def __init__(self, dsn: str, holder: str = "", *, ttl: float = TTL, watermarks: Watermarks | None = None) -> None:
        self._dsn, self.holder, self._ttl = dsn, holder, ttl
        self._watermarks = watermarks
        self._renew_every = min(RENEW_EVERY, ttl / 4)
        self._held: dict[str, Lease] = {}
        self._wanted: list[tuple[str, asyncio.Future[Lease]]] = []
        self._given_up: list[Lease] = []
        self._news = asyncio.Event()
        self._renewed_at = 0.0

    async def while_leader(self, name: str, work: Work) -> None:
        """Calls `work` whenever this process holds the lease `name`, until cancelled.

        When the lease is lost, `work` is stopped, and has ended before this process tries to get it again. When `work`
        raises or returns, the lease is let go, and this process waits a while, so that another replica gets it.
        """
        backoff = Backoff(f"lease {name}", first=1.5, longest=3.0)
        while True:
            lease = await self._obtain(name)
            log.info("lease_taken", lease=name, token=lease.token)
            try:
                await self._lead(lease, work)
            except Exception as error:
                if str(error) != backoff.error:  # its traceback once, not at each try
                    log.exception("lease_work_failed", lease=name)
                failed: Exception = error
            else:
                failed = ReturnedError("its work has ended")
            finally:
                self._let_go(lease)
            if lease.lost.is_set():
                log.warning("lease_lost", lease=name, token=lease.token)
                backoff.reset()
            else:
                await backoff.pause(failed)

    def lose_all(self) -> None:
        """The store went back: whoever leads has positions of another life in memory, and starts over."""
        for lease in self._held.values():
            lease.lost.set()

    async def leader(self, name: str, connection: psycopg.AsyncConnection) -> str | None:
        """Who leads; None when nobody does."""
        row = await (await connection.execute(HOLDER, (name,))).fetchone()
        return str(row[0]) if row else None

    async def run(self) -> None:
        """Keeps the leases, until cancelled; PostgreSQL may come and go."""
        await Backoff("leases", on=PASSING, first=0.1, longest=0.5).forever(self._over_one_connection)

    async def _obtain(self, name: str) -> Lease:
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._wanted.append((name, future))
        self._news.set()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled():  # it came in the same moment
                self._let_go(future.result())
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

    def _let_go(self, lease: Lease) -> None:
        lease.hold_until(None)
        if self._held.get(lease.name) is lease:
            del self._held[lease.name]
            if not lease.is_taken:
                self._given_up.append(lease)
            self._news.set()

    async def _over_one_connection(self) -> None:
        while not (self._wanted or self._held):  # who wants none does not log in
            self._news.clear()
            await self._news.wait()
        self._given_up.clear()  # they went with the last connection
        async with connected(self._dsn, "leases", READS, autocommit=True, prepare_threshold=0) as connection:
            is_new = True
            try:
                while True:
                    await self._round(connection, is_new=is_new)
                    is_new = False
                    self._news.clear()
                    await self._until_next()
            except asyncio.CancelledError:
                await self._until_all_have_ended()
                raise
            finally:
                if self._watermarks:
                    self._watermarks.unheard()

    async def _until_all_have_ended(self) -> None:
        """What leads stops before the connection goes, and the leases with it; or they expire, whatever it does."""
        self.lose_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ttl):
                while self._held:
                    self._news.clear()
                    await self._news.wait()

    async def _until_next(self) -> None:
        seconds = LOOK_EVERY if self._wanted else self._renew_every
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _round(self, connection: psycopg.AsyncConnection, *, is_new: bool) -> None:
        now = asyncio.get_running_loop().time()
        renews = is_new or now - self._renewed_at >= self._renew_every
        held = [lease for lease in self._held.values() if not lease.lost.is_set()] if renews else []
        given_up, self._given_up = self._given_up, []
        # Those that we hold ourselves are not free, though our session could have their locks once more.
        wanted = list({name: None for name, future in self._wanted if not future.done() and name not in self._held})
        if not (held or given_up or wanted):
            return
        arguments = (
            *([lease.name for lease in held], [lease.token for lease in held], is_new),
            *([lease.name for lease in given_up], [lease.token for lease in given_up]),
            *(wanted, self.holder, self._ttl),
        )
        async with within(min(ANSWERS_WITHIN, self._ttl / 2), connection):
            rows = await (await connection.execute(KEEP, arguments)).fetchall()
        tokens: dict[str, int] = {name: token for _, name, token in rows if name is not None}
        if self._watermarks:
            self._watermarks.heard(rows[0][0])
        if renews:
            self._renewed_at = now
        for lease in held:
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
        if future is None:  # nobody wants it any more
            self._given_up.append(lease)
            return
        self._held[lease.name] = lease
        lease.hold_until(now + self._ttl)
        future.set_result(lease)


class ReturnedError(Exception):
    """A leader gave its lease up without an error."""


class HasLeases(Protocol):
    @property
    def leases(self) -> Leases: ...


async def while_leader(store: HasLeases, name: str, work: Work) -> None:
    """See `Leases.while_leader`."""
    await store.leases.while_leader(name, work)
