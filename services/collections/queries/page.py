"""What the public pages show of a published collection: the same as its metadata, its tokens and its packages."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from services.collections.domain.chains.offer import Offer
from services.collections.domain.links import is_link
from services.collections.pages import texts
from services.collections.pages.addresses import Addresses
from services.collections.pages.views import (
    TOKENS_PER_PAGE,
    CollectionFacts,
    CollectionPage,
    TokenPage,
    card,
    pages_around,
    pages_of,
    price_of,
    token_page,
)
from services.collections.queries.metadata import MetadataQueries
from services.collections.queries.package import PackageQueries
from services.collections.queries.token import FinishedSeries, TokenQueries
from shared.contracts.problem import not_found


@dataclass(frozen=True)
class PageQueries:
    metadata_queries: MetadataQueries
    token_queries: TokenQueries
    package_queries: PackageQueries
    public_url: str

    async def collection(self, collection_id: UUID, number: int) -> CollectionPage:
        """A page of a published collection, from 1. Raises NOT_FOUND, and UNAVAILABLE while tables are behind."""
        facts, series, offer = await self._facts(collection_id)
        pages = pages_of(facts.tokens)
        if not 1 <= number <= pages:
            raise not_found(f"Page {number}")
        after = (number - 1) * TOKENS_PER_PAGE
        tokens = await self.token_queries.tokens(series, after=after, limit=TOKENS_PER_PAGE) if series else []
        cards = [card(msgspec.structs.replace(token, traits=offer.traits(token)), facts.addresses) for token in tokens]
        cover = await self._cover(facts, series, offer)
        return CollectionPage(
            facts=facts,
            cards=cards,
            preview=cover or (cards[0].picture if cards else None),
            number=number,
            pages=pages,
            others=pages_around(number, pages),
        )

    async def _cover(self, facts: CollectionFacts, series: FinishedSeries | None, offer: Offer) -> str | None:
        """The image of the token that is the cover. One of another host is not named: its server would be told."""
        if series is None or offer.cover_token is None:
            return None
        tokens = await self.token_queries.tokens(series, after=offer.cover_token - 1, limit=1)
        return facts.addresses.image(tokens[0]) if tokens else None

    async def token(self, collection_id: UUID, number: int) -> TokenPage:
        """The page of a token of a published collection. Raises as `collection`."""
        facts, series, offer = await self._facts(collection_id)
        token = await self.token_queries.token(series, number)
        token = msgspec.structs.replace(token, traits=offer.traits(token))
        return token_page(facts, token, offer.token_name(number))

    async def _facts(self, collection_id: UUID) -> tuple[CollectionFacts, FinishedSeries | None, Offer]:
        """Raises NOT_FOUND unless the collection is published and not archived."""
        state = await self.metadata_queries.visible(None, collection_id)
        assert state.publish_date is not None, "a published collection has the date"
        series, packages = await asyncio.gather(
            self.token_queries.series(state), self.package_queries.published(collection_id)
        )
        offer = self.metadata_queries.offer(state, collection_id, state.documents)
        chain = state.fields.blockchain
        facts = CollectionFacts(
            title=offer.title,
            description=offer.description,
            creators=offer.creators,
            chain=texts.chain(chain) if chain else None,
            price=price_of(state.fields.price, chain),
            license=offer.license,
            license_url=offer.license_url if offer.license_url and is_link(offer.license_url) else None,
            rights=offer.rights,
            tags=offer.tags,
            tokens=series.tokens if series else 0,
            published_at=datetime.fromisoformat(state.publish_date),
            revision=state.revision,
            job_id=series.job_id if series else None,
            packages=packages,
            addresses=Addresses(
                collection_id=collection_id,
                public_url=self.public_url.rstrip("/"),
                has_files=state.series is not None,
                roots=[package.root for package in packages],
            ),
        )
        return facts, series, offer
