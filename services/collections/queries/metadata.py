"""Queries of the metadata of collections and their tokens.

They load a collection's state and its tokens; `domain.chains` makes the documents.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from services.collections.deciders import COLLECTION
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Creator, Offer, Royalty, basis_points
from services.collections.domain.collection import royalties
from services.collections.domain.collection.state import Collection
from services.collections.queries.token import TokenQueries
from shared.contracts.collections import DocumentRules
from shared.contracts.problem import Detail, Problem, invalid, not_found
from shared.eventstore import EventStore

SELECT_VERSION_OF_REVISION: LiteralString = """
select version from revisions_v1 where collection_id = %s and number = %s"""


@dataclass(frozen=True)
class MetadataQueries:
    store: EventStore
    token_queries: TokenQueries
    public_url: str

    async def of_collection(
        self, reader: UUID | None, collection_id: UUID, chain: Chain | None, revision: int | None = None
    ) -> dict[str, Any]:
        """The document of a collection that is published or is the reader's own.

        `chain` None: the collection's own; `revision` None: the present one. Raises NOT_FOUND, also for a revision that
        there is not; VALIDATION_FAILED at `?chain` if there is neither.
        """
        state = await self._revised(await self.visible(reader, collection_id), collection_id, revision)
        on_chain, offer = _chain(chain, state), self.offer(state, collection_id, self._recorded_rules(state))
        if offer.cover_token is not None:
            offer = offer.covered(await self._cover(state, offer.cover_token))
        return collection_metadata(on_chain, offer)

    async def of_token(
        self, reader: UUID | None, collection_id: UUID, number: int, chain: Chain | None, revision: int | None = None
    ) -> dict[str, Any]:
        """The document of a token. Access and errors as `of_collection`; NOT_FOUND also for one not made yet."""
        state = await self.visible(reader, collection_id)
        on_chain = _chain(chain, state)
        series = await self.token_queries.series(state)
        token = await self.token_queries.token(series, number)
        revised = await self._revised(state, collection_id, revision)
        rules = self._recorded_rules(state)
        if series is not None and not state.has_recorded_rules:
            tokens = await self.token_queries.tokens(series)
            rules = await asyncio.to_thread(document_rules, [member.traits for member in tokens])
        return token_metadata(on_chain, self.offer(revised, collection_id, rules), token)

    def _recorded_rules(self, state: Collection) -> DocumentRules | None:
        """Those of its publication; of a draft, the present ones, without the types of its traits."""
        return state.documents if state.has_recorded_rules else document_rules([])

    async def _cover(self, state: Collection, number: int) -> list[Token]:
        """The token that is the cover; none while there is no such token."""
        series = await self.token_queries.series(state)
        return [] if series is None else await self.token_queries.tokens(series, after=number - 1, limit=1)

    def offer(self, state: Collection, collection_id: UUID, rules: DocumentRules | None) -> Offer:
        """The fields that metadata is made from, of a collection in this state, without the URI of its cover token."""
        # What early releases published links to what was the only public address then.
        page = f"/collections/{collection_id}/public" if rules is None else f"/c/{collection_id}"
        link = f"{self.public_url.rstrip('/')}{page}" if self.public_url else None
        return Offer(
            title=state.fields.title,
            description=state.fields.description,
            cover_image_url=state.fields.cover_image_url,
            images=state.fields.images,
            creators=[Creator(receiver.address, receiver.name) for receiver in royalties.creators(state)],
            royalties=[
                Royalty(receiver.address, basis_points(receiver.value))
                for receiver in royalties.royalty_receivers(state)
            ],
            royalty_receiver=state.royalty_receiver,
            link=link,
            own_symbol=state.fields.symbol,
            tags=state.fields.tags,
            rights=state.fields.rights,
            license=state.fields.license,
            license_url=state.fields.license_url,
            minter=state.fields.minter,
            banner_image_url=state.fields.banner_image_url,
            cover_token=state.fields.cover_token,
            rules=rules,
        )

    async def _revised(self, state: Collection, collection_id: UUID, revision: int | None) -> Collection:
        """The collection as it was at a revision. Raises NOT_FOUND, and UNAVAILABLE for one of a moment ago."""
        if revision is None or revision == state.revision:
            return state
        if state.revision is None or revision > state.revision:
            raise not_found(f"Revision {revision}")
        rows = await self.store.pool.rows(SELECT_VERSION_OF_REVISION, (collection_id, revision))
        if not rows:
            raise Problem("UNAVAILABLE", f"Revision {revision} is not in the read table yet: try again in a moment")
        return (await self.store.load(COLLECTION, collection_id, as_of=rows[0][0])).state

    async def visible(self, reader: UUID | None, collection_id: UUID) -> Collection:
        """A collection that is published, or the reader's own. Raises NOT_FOUND for any other."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        is_published = state.status == "published" and not state.archived
        if state.collection_id is None or not (is_published or state.user_id == reader):
            raise not_found("The collection")
        return state


def _chain(chain: Chain | None, state: Collection) -> Chain:
    """The chain of a request, else the collection's own. Raises VALIDATION_FAILED if there is neither."""
    chain = chain or next((name for name in CHAINS if name == state.fields.blockchain), None)
    if chain is None:
        message = f"is required while the collection has no blockchain: {', '.join(CHAINS)}"
        raise invalid(f"?chain {message}", Detail("?chain", message))
    return chain
