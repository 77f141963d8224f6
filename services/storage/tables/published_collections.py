"""The published collections and their tokens, filled from collections' events: whose files anybody may read.

An event is applied once and in the order of the collection's versions, so one that is delivered again changes nothing.
"""

from typing import LiteralString, NamedTuple
from uuid import UUID

from services.storage.tables.unscaled_tokens import add_tokens, forget_tokens
from shared.contracts.collections import CollectionPublished, has_renditions
from shared.eventstore import EventStore

UPSERT_PUBLISHED: LiteralString = """
with published as (
  insert into published_collections as c (collection_id, job_id, tokens, is_archived, epoch, version, has_renditions)
  values (%(collection_id)s, %(job_id)s, cardinality(%(gids)s::uuid[]), false, %(epoch)s, %(version)s,
          %(has_renditions)s)
  on conflict (collection_id) do update
  set job_id = excluded.job_id, tokens = excluded.tokens, is_archived = false,
      epoch = excluded.epoch, version = excluded.version, has_renditions = excluded.has_renditions
  where (excluded.epoch, excluded.version) > (c.epoch, c.version)
  returning collection_id
)
insert into published_tokens (collection_id, number, gid)
select collection_id, number, gid from published, unnest(%(gids)s::uuid[]) with ordinality as token(gid, number)
on conflict (collection_id, number) do update set gid = excluded.gid"""
UPDATE_ARCHIVED: LiteralString = """
update published_collections set is_archived = %s, epoch = %s, version = %s
where collection_id = %s and (%s, %s) > (epoch, version)"""


class Source(NamedTuple):
    """The place of a collection's event in its stream, also after its service was restored to an earlier state."""

    epoch: int
    version: int


class PublishedCollections:
    """Each method is idempotent."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def publish(self, event: CollectionPublished, source: Source) -> None:
        """Records the collection and its tokens, and that their images are to be scaled.

        A publication of an early release, without a series, has none.
        """
        parameters = {
            "collection_id": event.collection_id,
            "job_id": event.series.job_id if event.series else None,
            "gids": event.series.gids if event.series else [],
            "epoch": source.epoch,
            "version": source.version,
            "has_renditions": has_renditions(event.documents),
        }
        async with self._store.pool.connection() as connection, connection.transaction():
            if (await connection.execute(UPSERT_PUBLISHED, parameters)).rowcount == 0:
                return  # it was recorded before, or has no tokens
            await forget_tokens(connection, event.collection_id)
            if event.series and has_renditions(event.documents):
                await add_tokens(connection, event.collection_id, event.series.job_id, event.user_id, event.series.gids)

    async def archive(self, collection_id: UUID, source: Source, *, is_archived: bool) -> None:
        """Hides or shows what is published. Nothing is recorded of a draft."""
        async with self._store.pool.connection() as connection:
            await connection.execute(UPDATE_ARCHIVED, (is_archived, *source, collection_id, *source))
