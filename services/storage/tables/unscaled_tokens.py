"""The tokens whose images are to be scaled: added with a publication, taken by replicas, deleted when they are done.

A token is taken for CLAIM_SECONDS, so replicas share the tokens, and those of a replica that dies are taken again. What
is done is decided by the image's own stream, so nothing here depends on how far the read tables are.
"""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

import psycopg

from shared.eventstore import EventStore

CHANGED = "unscaled-tokens"
"""The watermark that counts publications."""
BATCH = 10
"""Tokens that are taken together."""
CLAIM_SECONDS = 30.0
"""How long they are taken for. A batch that takes longer may be scaled twice, and is recorded once."""
LONGEST_SECONDS, SHORTEST_SECONDS = 3600.0, 0.5
"""Of the wait for another try."""
OUTAGE_SECONDS = 5.0
"""The longest wait for another try after an outage."""
FIRST_USER = UUID(int=0)

INSERT_TOKENS: LiteralString = """
insert into unscaled_tokens (collection_id, number, gid, job_id, user_id)
select %s, number, gid, %s, %s from unnest(%s::uuid[]) with ordinality as token(gid, number)"""
DELETE_COLLECTION: LiteralString = "delete from unscaled_tokens where collection_id = %s"
NOTIFY: LiteralString = "select pg_notify('watermarks', %s)"
RELEASE_TOKENS: LiteralString = """
with due as materialized (
  select collection_id, number from unscaled_tokens
  where not_before <= now() order by not_before limit 1000 for update skip locked
)
update unscaled_tokens t set not_before = null from due
where t.collection_id = due.collection_id and t.number = due.number"""
TAKE_TOKENS: LiteralString = """
with recursive users(user_id, place) as (
  (select user_id, 1 from unscaled_tokens where not_before is null and user_id > %(after)s order by user_id limit 1)
  union all
  select following.user_id, users.place + 1 from users cross join lateral (
    select t.user_id from unscaled_tokens t
    where t.not_before is null and t.user_id > users.user_id order by t.user_id limit 1
  ) following where users.place < %(batch)s
), due as materialized (
  select turn.collection_id, turn.number from users cross join lateral (
    select t.collection_id, t.number from unscaled_tokens t
    where t.not_before is null and t.user_id = users.user_id order by t.added_at, t.collection_id, t.number
    limit (select case when %(after)s = %(first)s then %(batch)s / count(*) else 1 end from users)
    for update skip locked
  ) turn
), taken as (
  update unscaled_tokens t set not_before = clock_timestamp() + make_interval(secs => %(seconds)s) from due
  where t.collection_id = due.collection_id and t.number = due.number
  returning t.collection_id, t.number, t.gid, t.job_id, t.user_id
)
select t.collection_id, t.number, t.gid, t.user_id, a.asset_id, a.path,
       f.gid is null or (f.job_id = t.job_id and f.image_id is not null and a.asset_id is null),
       f.job_id = t.job_id and a.gid = t.gid and a.job_id = t.job_id
from taken t
left join generation_files_v1 f on f.gid = t.gid
left join assets_v3 a on a.asset_id = f.image_id"""
"""The first tokens of up to BATCH users, as many of each; the users are found by the index, from one of them on. What
another replica is just taking is passed over."""
DELETE_TOKENS: LiteralString = """
delete from unscaled_tokens t using unnest(%s::uuid[], %s::bigint[], %s::uuid[]) as done(collection_id, number, gid)
where t.collection_id = done.collection_id and t.number = done.number and t.gid = done.gid"""
POSTPONE_TOKENS: LiteralString = """
update unscaled_tokens t
set tries = tries + 1, not_before = clock_timestamp() + greatest(
  least((clock_timestamp() - added_at) / 10, make_interval(secs => %s)), make_interval(secs => %s))
from unnest(%s::uuid[], %s::bigint[], %s::uuid[]) as later(collection_id, number, gid)
where t.collection_id = later.collection_id and t.number = later.number and t.gid = later.gid"""
SELECT_BACKLOG: LiteralString = """
select (select count(*) from (select 1 from unscaled_tokens limit %s) token),
       (select extract(epoch from clock_timestamp() - min(added_at))::float8 from unscaled_tokens)"""
SELECT_TRIED: LiteralString = """
select collection_id, number, tries, extract(epoch from clock_timestamp() - added_at)::float8
from unscaled_tokens where tries > 0 order by added_at limit 1"""
SELECT_SECONDS: LiteralString = """
select extract(epoch from not_before - clock_timestamp())::float8
from unscaled_tokens where not_before is not null order by not_before limit 1"""


MAX_COUNTED = 10_000
"""The backlog is counted up to here, since that is done with each readiness check."""


class TriedToken(NamedTuple):
    """A token whose image could not be scaled so far. `seconds`: since its publication."""

    collection_id: UUID
    number: int
    tries: int
    seconds: float


class UnscaledToken(NamedTuple):
    """A token that this replica has taken, with its image as far as the read tables know.

    `is_unknown`: they have not all of its files yet. `is_own`: the token's generation made the image; another one is
    never shown, so it is not scaled.
    """

    collection_id: UUID
    number: int
    gid: UUID
    user_id: UUID
    asset_id: int | None
    path: str | None
    is_unknown: bool
    is_own: bool | None


class UnscaledTokens:
    """Its methods raise StoreUnavailable, or psycopg's OperationalError for writes."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._after = FIRST_USER

    async def take(self) -> list[UnscaledToken]:
        """Takes up to BATCH tokens, of as many users as possible; none if there are none to take.

        More than BATCH users are served round by round, one token of each.
        """
        tokens = await self._take()
        if not tokens and self._after != FIRST_USER:
            self._after = FIRST_USER
            tokens = await self._take()
        users = {token.user_id for token in tokens}
        self._after = max(users) if len(users) == BATCH else FIRST_USER
        return tokens

    async def _take(self) -> list[UnscaledToken]:
        parameters = {"after": self._after, "first": FIRST_USER, "batch": BATCH, "seconds": CLAIM_SECONDS}
        async with self._store.pool.connection() as connection:
            await connection.execute(RELEASE_TOKENS)
            cursor = await connection.execute(TAKE_TOKENS, parameters)
            return [UnscaledToken(*row) for row in await cursor.fetchall()]

    async def remove(self, tokens: Sequence[UnscaledToken]) -> None:
        """Forgets tokens whose images are scaled, or never will be."""
        if tokens:
            async with self._store.pool.connection() as connection:
                await connection.execute(DELETE_TOKENS, _keys(tokens))

    async def postpone(self, tokens: Sequence[UnscaledToken], longest: float) -> None:
        """Lets them wait for a tenth of the time since their publication, at least 0.5 s and at most `longest`."""
        if tokens:
            async with self._store.pool.connection() as connection:
                await connection.execute(POSTPONE_TOKENS, (longest, SHORTEST_SECONDS, *_keys(tokens)))

    async def seconds_until_next(self) -> float | None:
        """Until one of those that wait, or are taken, may be taken; None if there are none."""
        rows = await self._store.pool.rows(SELECT_SECONDS, ())
        return float(rows[0][0]) if rows else None

    async def backlog(self) -> tuple[int, float]:
        """How many there are, MAX_COUNTED at most, and for how many seconds the oldest has waited."""
        ((count, seconds),) = await self._store.pool.rows(SELECT_BACKLOG, (MAX_COUNTED,))
        return count, seconds or 0.0

    async def oldest_tried(self) -> TriedToken | None:
        """Of those that were tried in vain, the one that has waited for longest."""
        rows = await self._store.pool.rows(SELECT_TRIED, ())
        return TriedToken(*rows[0]) if rows else None


async def add_tokens(
    connection: psycopg.AsyncConnection, collection_id: UUID, job_id: UUID, user_id: UUID, gids: Sequence[UUID]
) -> None:
    """In the transaction of their publication: the tokens 1, 2, … were made by these generations of the job."""
    await connection.execute(INSERT_TOKENS, (collection_id, job_id, user_id, gids))
    await connection.execute(NOTIFY, (CHANGED,))


async def forget_tokens(connection: psycopg.AsyncConnection, collection_id: UUID) -> None:
    """Those of an earlier publication of the collection, of before its service was restored to an earlier state."""
    await connection.execute(DELETE_COLLECTION, (collection_id,))


def _keys(tokens: Sequence[UnscaledToken]) -> tuple[list[UUID], list[int], list[UUID]]:
    return (
        [token.collection_id for token in tokens],
        [token.number for token in tokens],
        [token.gid for token in tokens],
    )
