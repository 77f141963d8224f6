"""Reads which artworks are a collection's tokens: for its metadata, its list of tokens and its publish package.

A token's number is its artwork's place, from 1, in the collection's series: that which it was published with, else that
which is scheduled or was chosen for the draft. Without one, the tokens are all artworks of one job, in its order:

- of a draft: of the last one that finished, which is not yet a choice;
- of a collection that an early release published: of the last one that had finished by its publish date, else of the
  first one that finished after it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.collection.state import Collection
from services.collections.tables.scaled_images import ScaledImages
from shared.contracts.collections import ArtworkFile, ChosenSeries, Trait, image_of
from shared.contracts.problem import Detail, Problem, not_found
from shared.contracts.storage import ImageScaled
from shared.eventstore import EventStore

SELECT_SERIES_OF_DRAFT: LiteralString = """
select job_id, artworks from series_v3
where collection_id = %s and finished_at is not null
order by finished_at desc, job_id desc limit 1"""

SELECT_SERIES_BEFORE: LiteralString = """
select job_id, artworks from series_v3
where collection_id = %s and finished_at is not null and finished_at <= %s
order by finished_at desc, job_id desc limit 1"""

SELECT_SERIES_AFTER: LiteralString = """
select job_id, artworks from series_v3
where collection_id = %s and finished_at is not null and finished_at > %s
order by finished_at, job_id limit 1"""

SELECT_SERIES_OF_JOB: LiteralString = """
select job_id, artworks, finished_at is not null from series_v3 where collection_id = %s and job_id = %s"""

COUNT_ARTWORKS_OF_JOB: LiteralString = "select count(*) from artworks_v1 where job_id = %s and made_at is not null"

SELECT_ARTWORKS_OF_JOB: LiteralString = """
select gid, hash, traits, files, made_at from artworks_v1
where job_id = %s and made_at is not null
order by place offset %s limit %s"""

SELECT_ARTWORKS: LiteralString = """
select gid, hash, traits, files, made_at from artworks_v1
where job_id = %s and gid = any(%s) and made_at is not null"""

SELECT_CIDS_OF_ASSETS: LiteralString = (
    "select asset_id, cid from component_assets_v4 where asset_id = any(%s) and cid is not null"
)


DECODED_AT_ONCE = 200
"""Rows. More are decoded in a thread: it takes about 10 µs each."""


class FinishedSeries(msgspec.Struct, frozen=True):
    """The artworks that are tokens 1 to `tokens`: those of `gids`, in this order; all of the job's if None."""

    job_id: UUID
    tokens: int
    gids: list[UUID] | None = None

    @classmethod
    def of(cls, chosen: ChosenSeries) -> "FinishedSeries":
        return cls(chosen.job_id, len(chosen.gids), chosen.gids)


@dataclass(frozen=True)
class TokenQueries:
    store: EventStore
    scaled_images: ScaledImages

    async def series(self, state: Collection) -> FinishedSeries | None:
        """A collection's tokens; None if no job has finished.

        Raises UNAVAILABLE while the table has the job's end but not yet all of its artworks.
        """
        if chosen := state.chosen_series:
            return FinishedSeries.of(chosen)
        if state.publish_date is None:
            rows = await self._rows(SELECT_SERIES_OF_DRAFT, state.collection_id)
        else:
            published_at = datetime.fromisoformat(state.publish_date)
            rows = await self._rows(SELECT_SERIES_BEFORE, state.collection_id, published_at)
            rows = rows or await self._rows(SELECT_SERIES_AFTER, state.collection_id, published_at)
        if not rows:
            return None
        job_id, artworks = rows[0]
        complete = await self._complete(FinishedSeries(job_id, artworks))
        if state.publish_date is None:
            return complete
        return FinishedSeries(job_id, min(artworks, state.fields.editions or artworks))

    async def series_of_job(self, collection_id: UUID, job_id: UUID) -> FinishedSeries:
        """One job of a collection. Raises NOT_FOUND, CONFLICT if it has not finished, and UNAVAILABLE as `series`."""
        rows = await self._rows(SELECT_SERIES_OF_JOB, collection_id, job_id)
        if not rows:
            fault = Detail("/job_id", "is not the id of a job of this collection")
            raise Problem("NOT_FOUND", "The job does not exist", fault)
        ((_, artworks, is_finished),) = rows
        if not is_finished:
            message = "has no finished artworks: it is still running, ended a moment ago, or failed"
            raise Problem("CONFLICT", f"The job {message}", Detail("/job_id", message))
        return await self._complete(FinishedSeries(job_id, artworks))

    async def tokens(self, series: FinishedSeries, *, after: int = 0, limit: int | None = None) -> list[Token]:
        """The tokens with numbers above `after`, in order; `limit` at most if set.

        Raises UNAVAILABLE while the table does not have all of a chosen series' artworks.
        """
        rows = await self._artworks(series, after, limit)
        is_long = len(rows) > DECODED_AT_ONCE
        files_of_tokens = await asyncio.to_thread(_files, rows) if is_long else _files(rows)
        ids = [file.asset_id for files in files_of_tokens for file in files]
        cids = dict(await self._rows(SELECT_CIDS_OF_ASSETS, ids)) if ids else {}
        scaled = await self.scaled_images.of(ids)
        make = partial(_tokens, rows, files_of_tokens, cids, scaled, after)
        return await asyncio.to_thread(make) if is_long else make()

    async def _artworks(self, series: FinishedSeries, after: int, limit: int | None) -> list[tuple[Any, ...]]:
        if series.gids is None:
            left = max(series.tokens - after, 0)
            return await self._rows(
                SELECT_ARTWORKS_OF_JOB, series.job_id, after, left if limit is None else min(limit, left)
            )
        gids = series.gids[after : None if limit is None else after + limit]
        rows = {row[0]: row for row in await self._rows(SELECT_ARTWORKS, series.job_id, gids)}
        if len(rows) < len(gids):
            raise Problem("UNAVAILABLE", f"{len(rows)} of {len(gids)} artworks are known here so far: try again")
        return [rows[gid] for gid in gids]

    async def token(self, series: FinishedSeries | None, number: int) -> Token:
        """The token with this number. Raises NOT_FOUND if the series has none."""
        if series is not None and 1 <= number <= series.tokens:
            (token,) = await self.tokens(series, after=number - 1, limit=1)
            return token
        raise not_found(f"Token {number}")

    async def _complete(self, series: FinishedSeries) -> FinishedSeries:
        """The series with all that its job has made by now, which a resume adds to.

        Raises UNAVAILABLE unless the table has all artworks that the job had when it finished.
        """
        ((count,),) = await self._rows(COUNT_ARTWORKS_OF_JOB, series.job_id)
        if count < series.tokens:
            raise Problem("UNAVAILABLE", f"{count} of the job's {series.tokens} artworks are known so far: try again")
        return FinishedSeries(series.job_id, count)

    async def _rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.store.pool.rows(query, parameters)


def _files(rows: list[tuple[Any, ...]]) -> list[list[ArtworkFile]]:
    return [msgspec.json.decode(row[3], type=list[ArtworkFile]) for row in rows]


def _tokens(
    rows: list[tuple[Any, ...]],
    files_of_tokens: list[list[ArtworkFile]],
    cids: dict[int, str],
    scaled: dict[int, ImageScaled],
    after: int,
) -> list[Token]:
    return [
        Token(
            number=number,
            gid=gid,
            hash=generation_hash,
            traits=msgspec.json.decode(traits, type=list[Trait]),
            files=files,
            cids={file.asset_id: cids[file.asset_id] for file in files if file.asset_id in cids},
            made_at=made_at,
            scaled=scaled.get(image.asset_id) if (image := image_of(files)) else None,
        )
        for number, ((gid, generation_hash, traits, _, made_at), files) in enumerate(
            zip(rows, files_of_tokens, strict=True), start=after + 1
        )
    ]
