"""The attempts at packages that are to be built: written by the consumer, and by the one replica that builds.

All of a build that must survive its replica is here: the request, whether it is cancelled, and the id of its unfinished
upload. The outcome is in the attempt's stream.
"""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

import msgspec

from services.storage.domain.package_turns import LONG, Build
from shared.contracts.collections import PackageRequested
from shared.eventstore import Context, EventStore
from shared.eventstore.lease import Lease

CHANGED = "package-builds"
"""The watermark that counts new and cancelled builds."""
MAX_ROWS = 1_000
"""Waiting builds that are looked at together: the first long and the first short one of each user."""

INSERT_BUILD: LiteralString = """
insert into package_builds (package_id, attempt, user_id, size, request, context) values (%s, %s, %s, %s, %s, %s)
on conflict (package_id, attempt) do nothing"""
CANCEL_EARLIER: LiteralString = """
update package_builds set is_cancelled = true where package_id = %s and attempt < %s"""
CANCEL_BUILD: LiteralString = """
update package_builds set is_cancelled = true where package_id = %s and attempt = %s"""
NOTIFY: LiteralString = "select pg_notify('watermarks', %s)"
SELECT_CANCELLED: LiteralString = """
select package_id, attempt, user_id, size, number from package_builds where is_cancelled order by number limit %s"""
SELECT_WAITING: LiteralString = """
select distinct on (user_id, is_long) package_id, attempt, user_id, size, number
from (select *, size >= %s as is_long from package_builds) build
where not is_cancelled and not_before <= clock_timestamp() order by user_id, is_long, number limit %s"""
SELECT_ANY: LiteralString = "select 1 from package_builds limit 1"
SELECT_BACKLOG: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(added_at))::float8 from package_builds"""
SELECT_IS_CANCELLED: LiteralString = """
select is_cancelled from package_builds where package_id = %s and attempt = %s"""
BEGIN_BUILD: LiteralString = """
update package_builds set starts = starts + 1 where package_id = %s and attempt = %s
returning request, context, is_cancelled, starts, upload_id"""
UPDATE_UPLOAD: LiteralString = "update package_builds set upload_id = %s where package_id = %s and attempt = %s"
POSTPONE_BUILD: LiteralString = """
update package_builds
set not_before = clock_timestamp() + make_interval(secs => %s), failures = failures + %s,
    starts = case when %s > 0 then starts else 0 end
where package_id = %s and attempt = %s returning failures"""
DELETE_BUILD: LiteralString = "delete from package_builds where package_id = %s and attempt = %s"


class BegunBuild(NamedTuple):
    """A build's row when it begins. `starts`: how often it began without an end, this time included."""

    request: PackageRequested
    context: Context
    is_cancelled: bool
    starts: int
    upload_id: str | None


class PackageBuilds:
    """Its methods raise StoreUnavailable, or psycopg's OperationalError for writes."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def add(self, request: PackageRequested, size: int, context: Context) -> None:
        """Adds an attempt, and cancels earlier ones at the same package. Idempotent. `size`: bytes of its files."""
        key = (request.package_id, request.attempt)
        texts = [msgspec.json.encode(value).decode() for value in (request, context)]
        async with self._store.pool.connection() as connection:
            await connection.execute(CANCEL_EARLIER, key)
            await connection.execute(INSERT_BUILD, (*key, request.user_id, size, *texts))
            await connection.execute(NOTIFY, (CHANGED,))

    async def cancel(self, package_id: UUID, attempt: int) -> None:
        """Marks an attempt; no effect if it has ended."""
        async with self._store.pool.connection() as connection:
            await connection.execute(CANCEL_BUILD, (package_id, attempt))
            await connection.execute(NOTIFY, (CHANGED,))

    async def cancelled(self) -> Sequence[Build]:
        """Attempts that were cancelled and have not ended."""
        return [Build(*row) for row in await self._store.pool.rows(SELECT_CANCELLED, (MAX_ROWS,))]

    async def waiting(self) -> Sequence[Build]:
        """The first long and the first short attempt of each user, those that are being built included."""
        return [Build(*row) for row in await self._store.pool.rows(SELECT_WAITING, (LONG, MAX_ROWS))]

    async def are_any(self) -> bool:
        """Whether any attempt has not ended."""
        return bool(await self._store.pool.rows(SELECT_ANY, ()))

    async def backlog(self, lease: str) -> tuple[int, float, str | None]:
        """How many have not ended, for how many seconds the oldest has waited, and which replica holds this lease."""
        ((count, seconds),) = await self._store.pool.rows(SELECT_BACKLOG, ())
        async with self._store.pool.connection() as connection:
            leader = await self._store.leases.leader(lease, connection)
        return count, seconds or 0.0, leader

    async def is_cancelled(self, build: Build) -> bool:
        """Whether the attempt is marked, or has ended."""
        rows = await self._store.pool.rows(SELECT_IS_CANCELLED, (build.package_id, build.attempt))
        return not rows or bool(rows[0][0])

    async def begin(self, build: Build, lease: Lease) -> BegunBuild | None:
        """Counts a start of the build. None if it has ended. Raises Fenced."""
        async with self._store.pool.connection() as connection, connection.transaction():
            await lease.fence(connection)
            row = await (await connection.execute(BEGIN_BUILD, (build.package_id, build.attempt))).fetchone()
        if row is None:
            return None
        request, context, is_cancelled, starts, upload_id = row
        return BegunBuild(
            msgspec.json.decode(request, type=PackageRequested),
            msgspec.json.decode(context, type=Context),
            is_cancelled,
            starts,
            upload_id,
        )

    async def keep_upload(self, build: Build, upload_id: str, lease: Lease) -> None:
        """Records the unfinished upload, which another replica would continue. Raises Fenced."""
        async with self._store.pool.connection() as connection, connection.transaction():
            await lease.fence(connection)
            await connection.execute(UPDATE_UPLOAD, (upload_id, build.package_id, build.attempt))

    async def postpone(self, build: Build, seconds: float, *, failed: bool, lease: Lease) -> int:
        """Lets a build wait. `failed`: it counts as a failure; else its starts are forgotten.

        Returns the number of its failures. Raises Fenced.
        """
        async with self._store.pool.connection() as connection, connection.transaction():
            await lease.fence(connection)
            arguments = (seconds, int(failed), int(failed), build.package_id, build.attempt)
            row = await (await connection.execute(POSTPONE_BUILD, arguments)).fetchone()
        return int(row[0]) if row else 0

    async def remove(self, build: Build, lease: Lease) -> None:
        """Forgets an attempt whose outcome is recorded. Raises Fenced."""
        async with self._store.pool.connection() as connection, connection.transaction():
            await lease.fence(connection)
            await connection.execute(DELETE_BUILD, (build.package_id, build.attempt))
