"""The metadata of collections and their tokens, and whether a collection can be published.

From the tables, or the state, to the documents of `domain.chains`.
"""

import re
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
from services.collections.queries import Queries
from services.collections.token_list import TokenList
from services.collections.views import ChainCheck, CollectionView, PublishCheck
from shared.contracts.problem import Detail, invalid, not_found

_HEX = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Metadata:
    questions: Queries
    tokens: TokenList
    public_url: str

    async def of_collection(self, reader: UUID | None, collection_id: UUID, chain: Chain | None) -> dict[str, Any]:
        """Of a published collection or the reader's own. Raises NOT_FOUND, VALIDATION_FAILED at `?chain`."""
        collection = await self._visible(reader, collection_id)
        return collection_metadata(_chain(chain, collection), self.offer(collection))

    async def of_token(
        self, reader: UUID | None, collection_id: UUID, number: int, chain: Chain | None
    ) -> dict[str, Any]:
        """Access and errors as `of_collection`; also NOT_FOUND for a token that does not exist yet."""
        collection = await self._visible(reader, collection_id)
        chosen = _chain(chain, collection)
        if collection.editions is not None and number > collection.editions:
            raise not_found(f"Token {number}")
        series = await self.tokens.series(collection_id, collection.publish_date)
        return token_metadata(chosen, self.offer(collection), await self.tokens.token(series, number))

    async def check(self, user_id: UUID, collection_id: UUID, publish_date: datetime | None = None) -> PublishCheck:
        """A dry run of publishing: faults, and the metadata on each chain. Raises NOT_FOUND, CONFLICT."""
        loaded = await self.questions.store.load(COLLECTION, collection_id)
        state = loaded.state
        owned(state, user_id)
        refuse_archived(state)
        all_faults = [*date_faults(publish_date), *faults(state)]
        first = await self._first_token(state, collection_id)
        offer = self._offer_of(state, collection_id)
        return PublishCheck(
            valid=not all_faults,
            blockchain=state.fields.blockchain,
            faults=all_faults,
            chains={chain: _on(chain, state, offer, first) for chain in CHAINS},
        )

    def offer(self, collection: CollectionView) -> Offer:
        return Offer(
            title=collection.title,
            description=collection.description,
            cover_image_url=collection.cover_image_url,
            images=collection.images,
            receivers=collection.receivers,
            link=self._link(collection.id),
        )

    def _offer_of(self, state: Collection, collection_id: UUID) -> Offer:
        return Offer(
            title=state.fields.title,
            description=state.fields.description,
            cover_image_url=state.fields.cover_image_url,
            images=state.fields.images,
            receivers=state.receivers,
            link=self._link(collection_id),
        )

    def _link(self, collection_id: UUID) -> str | None:
        return f"{self.public_url.rstrip('/')}/collections/{collection_id}/public" if self.public_url else None

    async def _visible(self, reader: UUID | None, collection_id: UUID) -> CollectionView:
        collection = await self.questions.collection(collection_id)
        published = collection is not None and collection.status == "published" and not collection.archived
        if collection is None or not (published or collection.user_id == reader):
            raise not_found("The collection")
        return collection

    async def _first_token(self, state: Collection, collection_id: UUID) -> Token:
        """The first token; until there is one, a sample made of the variables' test values."""
        published = None
        if state.status == "published":
            view = await self.questions.collection(collection_id)
            published = view.publish_date if view else None
        series = await self.tokens.series(collection_id, published)
        return await self.tokens.token(series, 1) if series else _sample(state)


def token_number(written: str) -> int:
    """Parses a token number: decimal, or ERC-1155's 64 lowercase hexadecimal digits. Raises VALIDATION_FAILED."""
    if _HEX.fullmatch(written):
        return int(written, 16)
    if _DECIMAL.fullmatch(written):
        return int(written)
    message = "must be a decimal number without leading zeros, or 64 lowercase hexadecimal digits"
    raise invalid(f"{written[:80]!r} is not a token number", Detail("path:number", message))


def _chain(chain: Chain | None, collection: CollectionView) -> Chain:
    chosen = chain or next((name for name in CHAINS if name == collection.blockchain), None)
    if chosen is None:
        message = f"is required while the collection has no blockchain: {', '.join(CHAINS)}"
        raise invalid(f"?chain {message}", Detail("?chain", message))
    return chosen


def _on(chain: Chain, state: Collection, offer: Offer, token: Token) -> ChainCheck:
    return ChainCheck(
        faults=faults_on(chain, state),
        collection=collection_metadata(chain, offer),
        token=token_metadata(chain, offer, token),
    )


def _sample(state: Collection) -> Token:
    written = state.data.get("variables") or []
    values = {variable["name"]: value for variable in written if (value := _sample_value(variable)) is not None}
    return Token(number=1, gid=None, hash="", traits=traits_of(values, written), files=[], cids={}, made_at=None)


def _sample_value(variable: dict[str, Any]) -> Any:
    declared = variable.get("value")
    first = (declared.get("values") or [None])[0] if isinstance(declared, dict) else declared
    return first if variable.get("test_value") is None else variable["test_value"]
