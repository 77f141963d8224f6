"""The metadata of collections and their tokens, and whether a collection can be published.

From the tables, or the state, to the documents of `domain.chains`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.collections import handlers
from services.collections.domain.artwork import traits_of
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.faults import faults, faults_on
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection import Collection, owned, refuse_archived
from services.collections.domain.publishing import date_faults
from services.collections.domain.tokens import Token
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
        """Anybody's of what is published, its owner's of a draft. Raises NOT_FOUND, VALIDATION_FAILED at `?chain`."""
        found = await self._visible(reader, collection_id)
        return collection_metadata(_chain(chain, found), self.offer(found))

    async def of_token(
        self, reader: UUID | None, collection_id: UUID, number: int, chain: Chain | None
    ) -> dict[str, Any]:
        """As of the collection. Raises NOT_FOUND for a token that there is not, or not yet."""
        found = await self._visible(reader, collection_id)
        chosen = _chain(chain, found)
        if found.editions is not None and number > found.editions:
            raise not_found(f"Token {number}")
        series = await self.tokens.series(collection_id, found.publish_date)
        return token_metadata(chosen, self.offer(found), await self.tokens.token(series, number))

    async def check(self, user_id: UUID, collection_id: UUID, publish_date: datetime | None = None) -> PublishCheck:
        """What publishing it now would say, and what it would look like on each chain. Records nothing."""
        loaded = await self.questions.store.load(handlers.COLLECTION, collection_id)
        state = loaded.state
        owned(state, user_id)
        refuse_archived(state)
        found = [*date_faults(publish_date), *faults(state)]
        first = await self._first_token(state, collection_id)
        offer = self._offer_of(state, collection_id)
        return PublishCheck(
            valid=not found,
            blockchain=state.fields.blockchain,
            faults=found,
            chains={chain: _on(chain, state, offer, first) for chain in CHAINS},
        )

    def offer(self, shown: CollectionView) -> Offer:
        return Offer(
            title=shown.title,
            description=shown.description,
            cover_image_url=shown.cover_image_url,
            images=shown.images,
            receivers=shown.receivers,
            link=self._link(shown.id),
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
        found = await self.questions.collection(collection_id)
        published = found is not None and found.status == "published" and not found.archived
        if found is None or not (published or found.user_id == reader):
            raise not_found("The collection")
        return found

    async def _first_token(self, state: Collection, collection_id: UUID) -> Token:
        """The first token, or before there is one what it would say if its variables held their test values."""
        published = None
        if state.status == "published":
            shown = await self.questions.collection(collection_id)
            published = shown.publish_date if shown else None
        series = await self.tokens.series(collection_id, published)
        return await self.tokens.token(series, 1) if series else _sample(state)


def token_number(written: str) -> int:
    """A token's number as a path has it: decimal, or ERC-1155's 64 lowercase hexadecimal digits."""
    if _HEX.fullmatch(written):
        return int(written, 16)
    if _DECIMAL.fullmatch(written):
        return int(written)
    message = "is a token's number: 1, 2, 3 and so on, or 64 lowercase hexadecimal digits"
    raise invalid(f"{written[:80]!r} is no token's number", Detail("path:number", message))


def _chain(chain: Chain | None, shown: CollectionView) -> Chain:
    chosen = chain or next((each for each in CHAINS if each == shown.blockchain), None)
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
    values = {each["name"]: value for each in written if (value := _sample_value(each)) is not None}
    return Token(number=1, gid=None, hash="", traits=traits_of(values, written), files=[], cids={}, made_at=None)


def _sample_value(variable: dict[str, Any]) -> Any:
    declared = variable.get("value")
    first = (declared.get("values") or [None])[0] if isinstance(declared, dict) else declared
    return first if variable.get("test_value") is None else variable["test_value"]
