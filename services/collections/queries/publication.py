"""The dry run of publishing, and the answer to a publication with its series and warnings."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.collections.deciders import COLLECTION
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.artwork.traits import traits_of
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection.instruction_faults import workflow_faults
from services.collections.domain.collection.publication_faults import faults_on
from services.collections.domain.collection.publishing import Resolution, date_faults, publication_faults
from services.collections.domain.collection.royalties import chain_warnings
from services.collections.domain.collection.selection import Choice, FinishedJob
from services.collections.domain.collection.series_faults import warnings
from services.collections.domain.collection.state import Collection, owned, refuse_archived
from services.collections.queries.metadata import MetadataQueries
from services.collections.queries.series import SeriesQueries
from services.collections.queries.token import TokenQueries
from services.collections.tables.workflows import KnownWorkflows
from services.collections.views.collection import CollectionView
from services.collections.views.publication import ChainCheck, PublicationView, PublishCheck
from services.collections.views.series import ChosenSeriesView, series_view
from shared.contracts.problem import not_found
from shared.eventstore import EventStore


@dataclass(frozen=True)
class PublicationQueries:
    store: EventStore
    series_queries: SeriesQueries
    token_queries: TokenQueries
    metadata_queries: MetadataQueries
    workflows: KnownWorkflows
    public_url: str

    async def check(
        self, user_id: UUID, collection_id: UUID, choice: Choice, publish_date: datetime | None = None
    ) -> PublishCheck:
        """A dry run of publishing. Raises NOT_FOUND, CONFLICT, and UNAVAILABLE as publishing does."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        refuse_archived(state)
        resolution, tokens = await self._resolve(state, choice)
        all_faults = [*date_faults(publish_date), *publication_faults(state, resolution)]
        series, token = resolution.series, tokens[0] if tokens else _sample(state)
        rules = resolution.documents or document_rules([token.traits])
        offer = self.metadata_queries.offer(state, collection_id, rules).covered(tokens)
        return PublishCheck(
            valid=not all_faults,
            blockchain=state.fields.blockchain,
            faults=all_faults,
            warnings=await asyncio.to_thread(warnings, state, tokens, self.public_url),
            series=series_view(collection_id, series.job_id, len(tokens), tokens) if series else None,
            chains={chain: _check_on(chain, state, offer, token) for chain in CHAINS},
        )

    async def resolution(self, user_id: UUID, collection_id: UUID, choice: Choice) -> Resolution | None:
        """The series that a request to publish would sell, and its faults; None if the series is final.

        Raises NOT_FOUND, and UNAVAILABLE while events of generation are on the way that may matter.
        """
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        if state.status == "published" or state.archived:
            return None
        resolution, _ = await self._resolve(state, choice)
        return resolution

    async def _resolve(self, state: Collection, choice: Choice) -> tuple[Resolution, list[Token]]:
        """As `SeriesQueries.resolve`, with the workflows that are known."""
        resolution, tokens = await self.series_queries.resolve(state, choice)
        workflows = await self.workflows.required()
        if any(workflow_faults(state.data, workflows)):  # an event that makes it valid may be on the way
            await self.series_queries.refuse_while_behind()
            workflows = await self.workflows.required()
        return msgspec.structs.replace(resolution, workflows=workflows), tokens

    async def job(self, user_id: UUID, collection_id: UUID, choice: Choice) -> FinishedJob:
        """The finished job of a choice. Raises NOT_FOUND, and as `SeriesQueries.finished_job`."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        return await self.series_queries.finished_job(state, choice)

    async def chosen_series(self, user_id: UUID, collection_id: UUID) -> ChosenSeriesView:
        """Raises NOT_FOUND if nothing is chosen, or the collection is not the user's."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        if (series := state.chosen_series) is None:
            raise not_found("The collection's series")
        return ChosenSeriesView(series.job_id, series.gids)

    async def publication(self, view: CollectionView) -> PublicationView:
        """A collection that was published or scheduled, with its series, and with warnings about possible mistakes."""
        state = (await self.store.load(COLLECTION, view.id)).state
        series = await self.token_queries.series(state)
        tokens = await self.token_queries.tokens(series) if series else []
        return PublicationView(
            **msgspec.structs.asdict(view),
            series=series_view(view.id, series.job_id, series.tokens, tokens) if series else None,
            warnings=await asyncio.to_thread(warnings, state, tokens, self.public_url),
        )


def _check_on(chain: Chain, state: Collection, offer: Offer, token: Token) -> ChainCheck:
    return ChainCheck(
        faults=faults_on(chain, state),
        warnings=list(chain_warnings(chain, state)),
        collection=collection_metadata(chain, offer),
        token=token_metadata(chain, offer, token),
    )


def _sample(state: Collection) -> Token:
    variables = state.data.get("variables") or []
    values = {variable["name"]: value for variable in variables if (value := _sample_value(variable)) is not None}
    return Token(number=1, gid=None, hash="", traits=traits_of(values, variables), files=[], cids={}, made_at=None)


def _sample_value(variable: dict[str, Any]) -> Any:
    declared = variable.get("value")
    first = (declared.get("values") or [declared.get("min")])[0] if isinstance(declared, dict) else declared
    return first if variable.get("test_value") is None else variable["test_value"]
