"""Commands on publish packages: request one from a job's tokens, record its outcome."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import msgspec

from services.collections.deciders import COLLECTION, PACKAGE
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.chains import Chain
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection.state import Collection, owned
from services.collections.domain.links import is_loopback
from services.collections.domain.package import contents
from services.collections.domain.package.commands import (
    CancelPackage,
    Outcome,
    RecordOutcome,
    RequestPackage,
    decide,
    package_request,
)
from services.collections.domain.package.contents import StoredFile
from services.collections.domain.package.state import Package, package_id
from services.collections.queries.component_asset import ComponentAssetQueries
from services.collections.queries.metadata import MetadataQueries
from services.collections.queries.token import FinishedSeries, TokenQueries
from shared.content.package import size_of_files
from shared.contracts.collections import has_renditions
from shared.contracts.problem import Detail, Problem, invalid, not_found
from shared.eventstore import Context, EventStore, Handled

COPIES_SECONDS = 5.0
"""Longest wait for the smaller copies of the tokens' images."""
COPIES_PER_SECOND = 20
"""Images that storage scales, about."""
LONGEST_RETRY = 60
"""Seconds in Retry-After at most, as other publications may be in between, or other replicas help."""
FIRST_PAUSE = 0.2
"""Seconds before the tokens are read again; each further pause is twice as long, as there may be thousands."""


@dataclass(frozen=True)
class PackageHandlers:
    store: EventStore
    metadata_queries: MetadataQueries
    token_queries: TokenQueries
    asset_queries: ComponentAssetQueries
    public_url: str
    max_bytes: int
    """Of the files of a package."""

    async def request(
        self,
        user_id: UUID,
        collection_id: UUID,
        job_id: UUID | None,
        chains: Sequence[Chain] | None,
        context: Context,
        *,
        allow_local: bool,
    ) -> Handled[Package]:
        """Requests a job's package for these chains, `None` for the collection's own, or all if it has none.

        `job_id` None: the job of the series that is sold or chosen. Idempotent. Raises NOT_FOUND, CONFLICT, UNAVAILABLE
        until all artworks are in; PACKAGE_TOO_LARGE; VALIDATION_FAILED at `/job_id` if there is no such series, and at
        `/allow_local` if nobody else could follow the links in its metadata, unless `allow_local`.
        """
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        series = await self._series(state, job_id)
        if not allow_local and is_loopback(self.public_url):
            raise _is_local(self.public_url)
        tokens = await self._tokens(state, series)
        asset_ids = [file.asset_id for token in tokens for file in (token.artifact, token.image) if file]
        stored = await self.asset_queries.stored_files(collection_id, asset_ids)
        rules = state.documents if state.has_recorded_rules else document_rules(token.traits for token in tokens)
        offer = self.metadata_queries.offer(state, collection_id, rules)
        on_chains = contents.chains_of(chains, state.fields.blockchain)
        command = await asyncio.to_thread(_package_request, state, series.job_id, offer, tokens, stored, on_chains)
        size = size_of_files(command.parts)
        if size > self.max_bytes:
            message = f"The package's files have {size} bytes; a package may have {self.max_bytes} (PACKAGE_MAX_BYTES)"
            raise Problem("PACKAGE_TOO_LARGE", f"{message}. Generate smaller files, or ask the operator for more")
        stream_id = package_id(collection_id, series.job_id)
        return await self.store.handle(PACKAGE, stream_id, partial(decide, command), context)

    async def _tokens(self, state: Collection, series: FinishedSeries) -> list[Token]:
        """The tokens; of a published collection with the smaller copies of their images, which are waited for.

        Storage begins to make them when the collection is published. Raises UNAVAILABLE while it has not made all.
        """
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + COPIES_SECONDS, FIRST_PAUSE
        while True:
            tokens = await self.token_queries.tokens(series)
            if state.status != "published" or not has_renditions(state.documents):
                return [msgspec.structs.replace(token, scaled=None) for token in tokens]
            missing = sum(token.image is not None and token.scaled is None for token in tokens)
            if not missing:
                return tokens
            if loop.time() >= until:
                raise _is_scaling(missing, len(tokens))
            await asyncio.sleep(pause)
            pause *= 2

    async def _series(self, state: Collection, job_id: UUID | None) -> FinishedSeries:
        """The collection's tokens, if this job made them; of a draft whose series is not chosen, all of the job's."""
        assert state.collection_id is not None, "the collection exists"
        if state.chosen_series is None and state.status == "draft":
            if job_id is None:
                message = "is required until a series is chosen: which job's artworks?"
                raise invalid(f"/job_id {message}", Detail("/job_id", message))
            return await self.token_queries.series_of_job(state.collection_id, job_id)
        series = await self.token_queries.series(state)
        if series is not None and job_id is None:
            return series
        if series is None or series.job_id != job_id:
            message = f"did not make this collection's tokens: {f'job {series.job_id} did' if series else 'no job has'}"
            raise Problem("CONFLICT", f"Job {job_id} {message}", Detail("/job_id", message))
        return series

    async def cancel(self, user_id: UUID, collection_id: UUID, package_id: UUID, context: Context) -> Handled[Package]:
        """Has the attempt stopped that is being built. Idempotent. Raises NOT_FOUND, CONFLICT if it has ended."""
        owned((await self.store.load(COLLECTION, collection_id)).state, user_id)
        request = (await self.store.load(PACKAGE, package_id)).state.request
        if request is None or request.collection_id != collection_id:
            raise not_found("The package")
        return await self.store.handle(PACKAGE, package_id, partial(decide, CancelPackage()), context)

    async def record(self, outcome: Outcome, context: Context) -> None:
        """Records storage's outcome of an attempt. Idempotent."""
        await self.store.handle(PACKAGE, outcome.package_id, partial(decide, RecordOutcome(outcome)), context)


def package_id_of(handled: Handled[Package]) -> UUID:
    """The id of the package after a request for it."""
    assert handled.state.request is not None, "the package was requested"
    return handled.state.request.package_id


def _is_scaling(missing: int, tokens: int) -> Problem:
    seconds = min(max(math.ceil(missing / COPIES_PER_SECOND), 1), LONGEST_RETRY)
    message = (
        f"The display and the thumbnail of {missing} of {tokens} tokens are still being made, since the collection was"
        f" published: request the package again in {seconds} s. Nothing was done"
    )
    return Problem("UNAVAILABLE", message, retry_after=seconds)


def _is_local(public_url: str) -> Problem:
    message = (
        f"is required, as true, because PUBLIC_URL is {public_url}: a package links to it permanently, and no other"
        " machine can read it. Better set PUBLIC_URL, as `emprops up --public-url URL` does"
    )
    return invalid(f"/allow_local {message}", Detail("/allow_local", message))


def _package_request(
    state: Collection,
    job_id: UUID,
    offer: Offer,
    tokens: list[Token],
    stored: dict[int, StoredFile],
    chains: Sequence[Chain],
) -> RequestPackage:
    """Takes seconds for 10,000 tokens, so it runs in a thread."""
    assert state.collection_id is not None, "the collection exists"
    assert state.user_id is not None, "a collection is created by a user"
    return package_request(
        state.collection_id,
        job_id,
        state.user_id,
        offer.title,
        contents.artworks(tokens, stored),
        contents.displays(tokens, stored),
        contents.documents(offer, tokens, stored, chains),
        renditions=contents.renditions(tokens),
        chains=chains,
        published=state.status == "published",
        revision=state.revision,
    )
