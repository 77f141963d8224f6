"""Commands on the results of a collection's jobs: component assets, series and artworks. All are idempotent."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.collections.deciders import ARTWORK, COMPONENT_ASSET, SERIES
from services.collections.domain import component_asset, series
from services.collections.domain.artwork import commands as artwork
from services.collections.domain.artwork.commands import CompleteArtwork, DrawArtwork
from shared.contracts.generation import GenerationStarted
from shared.eventstore import Context, EventStore


@dataclass(frozen=True)
class ArtworkHandlers:
    store: EventStore

    async def record_asset(self, stream_id: UUID, command: component_asset.Command, context: Context) -> None:
        await self.store.handle(COMPONENT_ASSET, stream_id, partial(component_asset.decide, command), context)

    async def record_series(self, job_id: UUID, command: series.Command, context: Context) -> None:
        """Raises LookupError for the end of a series that has not begun."""
        await self.store.handle(SERIES, job_id, partial(series.decide, command), context)

    async def draw_artwork(self, started: GenerationStarted, context: Context) -> None:
        """Nothing for a preview. Raises UNAVAILABLE until the request, an event of another stream, was handled."""
        state = await self._series(started.job_id)
        if state.is_preview:
            return
        command = DrawArtwork(
            gid=started.gid,
            job_id=started.job_id,
            collection_id=started.collection_id,
            user_id=started.user_id,
            hash=started.hash,
            variables=started.variables,
            series=state,
        )
        await self.record_artwork(started.gid, command, context)

    async def complete_artwork(self, job_id: UUID, command: CompleteArtwork, context: Context) -> None:
        """Nothing for a preview. Raises what the decision raises."""
        if not (await self._series(job_id)).is_preview:
            await self.record_artwork(command.gid, command, context)

    async def _series(self, job_id: UUID) -> series.Series:
        # The places in a series never change, so a cached state will do once the series has begun.
        loaded = self.store.cached(SERIES, job_id)
        if loaded is None or loaded.state.collection_id is None:
            loaded = await self.store.load(SERIES, job_id)
        return loaded.state

    async def record_artwork(self, gid: UUID, command: artwork.Command, context: Context) -> None:
        """Raises what the decision raises."""
        # A drawing is the stream's first event. On a redelivery the append conflicts, and is then decided on the state.
        is_first = isinstance(command, DrawArtwork)
        await self.store.handle(ARTWORK, gid, partial(artwork.decide, command), context, new=is_first)
