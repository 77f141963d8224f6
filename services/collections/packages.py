"""Publish packages: requests, made from a job's tokens, and their outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.collections.deciders import COLLECTION, PACKAGE
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection.state import owned
from services.collections.domain.package import contents
from services.collections.domain.package.commands import RecordOutcome, RequestPackage, decide, package_request
from services.collections.domain.package.contents import StoredFile
from services.collections.domain.package.state import Package, package_id
from services.collections.metadata import Metadata
from services.collections.token_list import TokenList
from shared.content.package import PROVENANCE, Contents, manifest
from shared.contracts.collections import PackagePartListed
from shared.contracts.problem import Detail, Problem, not_found
from shared.contracts.storage import PackageFailed, PackageStored
from shared.eventstore import Context, EventStore, Handled, Loaded, RecordedEvent
from shared.messaging import Consumer

OUTCOMES = "collections-packages-v1"

SELECT_END_OF_JOB = "select finished_at from series_v1 where job_id = %s and collection_id = %s"
SELECT_FILES_OF_COLLECTION = """
select asset_id, path, mime_type, size, sha256, cid from component_assets_v4
where collection_id = %s and asset_id = any(%s)"""


class Provenance(msgspec.Struct, frozen=True):
    hash: str
    algorithm: str


class PackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A publish package. `root` to `manifest` are null until it is stored; `reason` is why it failed."""

    id: UUID
    collection_id: UUID
    job_id: UUID
    status: Literal["requested", "stored", "failed"]
    attempt: int
    reason: str | None
    root: str | None
    """CIDv1 of the package's folder: its address on IPFS, and the root of the CAR file."""
    asset_id: int | None
    url: str | None
    """Of the CAR file."""
    size: int | None
    sha256: str | None
    provenance: Provenance | None
    manifest: dict[str, Any] | None


@dataclass(frozen=True)
class Packages:
    store: EventStore
    metadata: Metadata
    tokens: TokenList
    public_url: str

    async def request(self, user_id: UUID, collection_id: UUID, job_id: UUID, context: Context) -> Handled[Package]:
        """Requests a job's package. Idempotent. Raises NOT_FOUND, CONFLICT, UNAVAILABLE until all artworks are in."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        series = await self.tokens.series(collection_id, None, job_id)
        if series is None:
            raise await self._unfinished(collection_id, job_id)
        tokens = await self.tokens.tokens(series)
        ids = [file.asset_id for token in tokens for file in (token.artifact, token.image) if file]
        stored = await self._files(collection_id, ids)
        offer = self.metadata.offer(await self.metadata.questions.owned_collection(user_id, collection_id))
        command = await asyncio.to_thread(_requested, collection_id, job_id, user_id, offer, tokens, stored)
        stream_id = package_id(collection_id, job_id)
        return await self.store.handle(PACKAGE, stream_id, partial(decide, command), context)

    async def note(self, outcome: PackageStored | PackageFailed, context: Context) -> None:
        await self.store.handle(PACKAGE, outcome.package_id, partial(decide, RecordOutcome(outcome)), context)

    async def package(self, user_id: UUID, collection_id: UUID, package_id: UUID) -> PackageView:
        """A package of a collection of the user's. Raises NOT_FOUND."""
        owned((await self.store.load(COLLECTION, collection_id)).state, user_id)
        loaded = await self.store.load(PACKAGE, package_id)
        if loaded.state.request is None or loaded.state.request.collection_id != collection_id:
            raise not_found("The package")
        return await self.view(package_id, loaded)

    async def view(self, package_id: UUID, loaded: Loaded[Package] | Handled[Package]) -> PackageView:
        state = loaded.state
        request, delivered = state.request, state.delivered
        assert request is not None, "only a requested package has a view"
        assert state.status != "none", "a requested package has a status"
        return PackageView(
            id=package_id,
            collection_id=request.collection_id,
            job_id=request.job_id,
            status=state.status,
            attempt=request.attempt,
            reason=state.reason,
            root=delivered.root if delivered else None,
            asset_id=delivered.asset_id if delivered else None,
            url=f"{self.public_url.rstrip('/')}/assets/{delivered.asset_id}/content" if delivered else None,
            size=delivered.size if delivered else None,
            sha256=delivered.sha256 if delivered else None,
            provenance=Provenance(delivered.provenance, PROVENANCE) if delivered else None,
            manifest=await self._manifest(package_id, state) if delivered else None,
        )

    async def _manifest(self, package_id: UUID, state: Package) -> dict[str, Any]:
        """The package's manifest, computed from its parts: it may be too large to be stored twice."""
        request = state.request
        assert request is not None, "a package with parts was requested"
        history = [recorded.event for recorded in await self.store.read_stream(package_id)]
        parts = [
            event for event in history if isinstance(event, PackagePartListed) and event.attempt == request.attempt
        ]
        listed = Contents(
            collection_id=request.collection_id,
            job_id=request.job_id,
            title=request.title,
            artworks=[artwork for part in parts for artwork in part.artworks],
            displays=[display for part in parts for display in part.displays],
            documents=[document for part in parts for document in part.documents],
        )
        return await asyncio.to_thread(manifest, listed)

    async def _files(self, collection_id: UUID, asset_ids: Sequence[int]) -> dict[int, StoredFile]:
        async with self.store.reader() as cursor:
            await cursor.execute(SELECT_FILES_OF_COLLECTION.encode(), (collection_id, list(asset_ids)))
            return {row[0]: StoredFile(*row) for row in await cursor.fetchall()}

    async def _unfinished(self, collection_id: UUID, job_id: UUID) -> Problem:
        """The problem of a job without a finished series: NOT_FOUND or CONFLICT."""
        async with self.store.reader() as cursor:
            await cursor.execute(SELECT_END_OF_JOB.encode(), (job_id, collection_id))
            if await cursor.fetchone() is None:
                return Problem(
                    "NOT_FOUND",
                    "The job does not exist",
                    Detail("/job_id", "is not the id of a job of this collection"),
                )
        message = "has no finished artworks: it is still running, ended a moment ago, or failed"
        return Problem("CONFLICT", f"The job {message}", Detail("/job_id", message))


def _requested(
    collection_id: UUID, job_id: UUID, user_id: UUID, offer: Offer, tokens: list[Token], stored: dict[int, StoredFile]
) -> RequestPackage:
    """Takes seconds for 10,000 tokens, so it runs in a thread."""
    return package_request(
        collection_id,
        job_id,
        user_id,
        offer.title,
        contents.artworks(tokens, stored),
        contents.displays(tokens, stored),
        contents.documents(offer, tokens, stored),
    )


def package_consumers(packages: Packages) -> list[Consumer]:
    async def on_outcome(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, PackageStored | PackageFailed), recorded.type
        await packages.note(recorded.event, recorded.context.caused(recorded.event_id, OUTCOMES))

    return [Consumer(name=OUTCOMES, owner="storage", events=(PackageStored, PackageFailed), handle=on_outcome)]
