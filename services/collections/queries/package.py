"""Queries of publish packages, from their state and their events."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.collections.deciders import COLLECTION, PACKAGE
from services.collections.domain.chains import CHAINS
from services.collections.domain.collection.state import owned
from services.collections.domain.package.state import Package
from services.collections.domain.package.state import package_id as package_id_of
from services.collections.queries.token import TokenQueries
from services.collections.tables.package_progress import PackageProgress
from services.collections.views.package import PackageView, ProgressView, Provenance, PublishedPackageView, pin_view
from shared.content.package import PROVENANCE, contents_of, manifest
from shared.contracts.collections import PackagePartListed
from shared.contracts.problem import not_found
from shared.eventstore import EventStore, Handled, Loaded


@dataclass(frozen=True)
class PackageQueries:
    store: EventStore
    token_queries: TokenQueries
    progress: PackageProgress
    public_url: str

    async def package(self, user_id: UUID, collection_id: UUID, package_id: UUID) -> PackageView:
        """A package of a collection of the user's. Raises NOT_FOUND."""
        owned((await self.store.load(COLLECTION, collection_id)).state, user_id)
        loaded = await self.store.load(PACKAGE, package_id)
        if loaded.state.request is None or loaded.state.request.collection_id != collection_id:
            raise not_found("The package")
        return await self.view(package_id, loaded)

    async def view(self, package_id: UUID, loaded: Loaded[Package] | Handled[Package]) -> PackageView:
        """A package as it is, or as it is after a command."""
        state = loaded.state
        request, delivered = state.request, state.delivered
        assert request is not None, "only a requested package has a view"
        assert state.status != "none", "a requested package has a status"
        return PackageView(
            id=package_id,
            collection_id=request.collection_id,
            job_id=request.job_id,
            status=state.status,
            chains=CHAINS if request.chains is None else request.chains,
            revision=request.revision,
            attempt=request.attempt,
            reason=state.reason,
            code=state.code,
            progress=await self._progress(state),
            root=delivered.root if delivered else None,
            asset_id=delivered.asset_id if delivered else None,
            url=f"{self.public_url.rstrip('/')}/assets/{delivered.asset_id}/content" if delivered else None,
            size=delivered.size if delivered else None,
            sha256=delivered.sha256 if delivered else None,
            provenance=Provenance(delivered.provenance, PROVENANCE) if delivered else None,
            manifest=await self._manifest(package_id, state) if delivered else None,
        )

    async def published(self, collection_id: UUID) -> list[PublishedPackageView]:
        """The packages of a published collection, newest first: those that were made of it since it is published.

        Early releases did not record whether a collection was published; all packages that they made are among them.
        """
        state = (await self.store.load(COLLECTION, collection_id)).state
        series = await self.token_queries.series(state) if state.status == "published" else None
        if series is None:
            return []
        packages = (await self.store.load(PACKAGE, package_id_of(collection_id, series.job_id))).state.published
        return [
            PublishedPackageView(
                root=package.root,
                provenance=Provenance(package.provenance, PROVENANCE),
                job_id=package.job_id,
                chains=CHAINS if package.chains is None else package.chains,
                revision=package.revision,
                size=package.size,
                pins=[pin_view(pin) for pin in package.pins],
            )
            for package in reversed(packages)
        ]

    async def _progress(self, state: Package) -> ProgressView | None:
        request = state.request
        if request is None or state.status not in {"requested", "cancelling"}:
            return None
        progress = await self.progress.of(request.package_id, request.attempt)
        return (
            ProgressView(progress.phase, progress.files, progress.of, progress.bytes, progress.size)
            if progress
            else None
        )

    async def _manifest(self, package_id: UUID, state: Package) -> dict[str, Any]:
        """The package's manifest, computed from its parts: it may be too large to be stored twice."""
        assert state.request is not None, "a package with parts was requested"
        events = [recorded.event for recorded in await self.store.read_stream(package_id)]
        attempt = state.request.attempt
        parts = [event for event in events if isinstance(event, PackagePartListed) and event.attempt == attempt]
        return await asyncio.to_thread(manifest, contents_of(state.request, parts))
