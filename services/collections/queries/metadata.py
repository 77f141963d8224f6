"""Queries of the metadata of collections and their tokens, and the dry run of publishing.

They load a collection's state and its tokens; `domain.chains` makes the documents.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.collections.deciders import COLLECTION
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.traits import traits_of
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection.publication_faults import faults, faults_on
from services.collections.domain.collection.publishing import date_faults
from services.collections.domain.collection.state import Collection, owned, refuse_archived
from services.collections.queries.token import TokenQueries
from services.collections.views.publication import ChainCheck, PublishCheck
from shared.contracts.problem import Detail, invalid, not_found
from shared.eventstore import EventStore


@dataclass(frozen=True)
class MetadataQueries:
    store: EventStore
    token_queries: TokenQueries
    public_url: str

    async def of_collection(self, reader: UUID | None, collection_id: UUID, chain: Chain | None) -> dict[str, Any]:
        """The document of a collection that is published or is the reader's own.

        `chain` None: the collection's own. Raises NOT_FOUND; VALIDATION_FAILED at `?chain` if there is neither.
        """
        state = await self._visible(reader, collection_id)
        return collection_metadata(_chain(chain, state), self.offer(state, collection_id))

    async def of_token(
        self, reader: UUID | None, collection_id: UUID, number: int, chain: Chain | None
    ) -> dict[str, Any]:
        """The document of a token. Access and errors as `of_collection`; NOT_FOUND also for one not made yet."""
        state = await self._visible(reader, collection_id)
        on_chain = _chain(chain, state)
        if state.fields.editions is not None and number > state.fields.editions:
            raise not_found(f"Token {number}")
        series = await self.token_queries.series(collection_id, _publish_date(state))
        token = await self.token_queries.token(series, number)
        return token_metadata(on_chain, self.offer(state, collection_id), token)

    async def check(self, user_id: UUID, collection_id: UUID, publish_date: datetime | None = None) -> PublishCheck:
        """A dry run of publishing: faults, and the metadata on each chain. Raises NOT_FOUND, CONFLICT."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        owned(state, user_id)
        refuse_archived(state)
        all_faults = [*date_faults(publish_date), *faults(state)]
        token = await self._first_token(state, collection_id)
        offer = self.offer(state, collection_id)
        return PublishCheck(
            valid=not all_faults,
            blockchain=state.fields.blockchain,
            faults=all_faults,
            chains={chain: _check_on(chain, state, offer, token) for chain in CHAINS},
        )

    def offer(self, state: Collection, collection_id: UUID) -> Offer:
        """The fields that metadata is made from, of a collection in this state."""
        link = f"{self.public_url.rstrip('/')}/collections/{collection_id}/public" if self.public_url else None
        return Offer(
            title=state.fields.title,
            description=state.fields.description,
            cover_image_url=state.fields.cover_image_url,
            images=state.fields.images,
            receivers=state.receivers,
            link=link,
        )

    async def _visible(self, reader: UUID | None, collection_id: UUID) -> Collection:
        """A collection that is published, or the reader's own. Raises NOT_FOUND for any other."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        is_published = state.status == "published" and not state.archived
        if state.collection_id is None or not (is_published or state.user_id == reader):
            raise not_found("The collection")
        return state

    async def _first_token(self, state: Collection, collection_id: UUID) -> Token:
        """The first token; until there is one, a sample with the variables' test values as traits."""
        series = await self.token_queries.series(collection_id, _publish_date(state))
        return await self.token_queries.token(series, 1) if series else _sample(state)


def _publish_date(state: Collection) -> datetime | None:
    return datetime.fromisoformat(state.publish_date) if state.publish_date else None


def _chain(chain: Chain | None, state: Collection) -> Chain:
    """The chain of a request, else the collection's own. Raises VALIDATION_FAILED if there is neither."""
    chain = chain or next((name for name in CHAINS if name == state.fields.blockchain), None)
    if chain is None:
        message = f"is required while the collection has no blockchain: {', '.join(CHAINS)}"
        raise invalid(f"?chain {message}", Detail("?chain", message))
    return chain


def _check_on(chain: Chain, state: Collection, offer: Offer, token: Token) -> ChainCheck:
    return ChainCheck(
        faults=faults_on(chain, state),
        collection=collection_metadata(chain, offer),
        token=token_metadata(chain, offer, token),
    )


def _sample(state: Collection) -> Token:
    variables = state.data.get("variables") or []
    values = {variable["name"]: value for variable in variables if (value := _sample_value(variable)) is not None}
    return Token(number=1, gid=None, hash="", traits=traits_of(values, variables), files=[], cids={}, made_at=None)


def _sample_value(variable: dict[str, Any]) -> Any:
    declared = variable.get("value")
    first = (declared.get("values") or [None])[0] if isinstance(declared, dict) else declared
    return first if variable.get("test_value") is None else variable["test_value"]
