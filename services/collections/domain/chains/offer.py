"""The fields of a collection that its metadata is made from, on any chain."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from services.collections.domain.addresses import is_address
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import type_of, typed
from services.collections.domain.links import is_link
from shared.contracts.collections import DocumentRules, Trait, TraitType

SYMBOL_LENGTH = 8
NO_SYMBOL = "EMPROPS"


class Royalty(msgspec.Struct, frozen=True):
    """`basis_points`: hundredths of a percent of every resale, as ERC-2981 counts."""

    receiver: str
    basis_points: int


class Creator(msgspec.Struct, frozen=True):
    """Somebody who made the art."""

    address: str
    name: str | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """`royalties` and `creators` on any chain; `royalty_receiver` takes all royalties on EVM chains.

    `link` is the collection's public page, below which its tokens have theirs; None if the service has no PUBLIC_URL.
    `cover` is the URI of the image of token `cover_token`. `rules` is None for publications of early releases, whose
    documents keep their bytes, and all link to the collection.
    """

    title: str
    description: str
    cover_image_url: str | None = None
    images: Sequence[Any] = ()
    creators: Sequence[Creator] = ()
    royalties: Sequence[Royalty] = ()
    royalty_receiver: str | None = None
    link: str | None = None
    own_symbol: str | None = None
    tags: Sequence[str] = ()
    rights: str | None = None
    license: str | None = None
    license_url: str | None = None
    minter: str | None = None
    banner_image_url: str | None = None
    cover_token: int | None = None
    cover: str | None = None
    rules: DocumentRules | None = None

    @property
    def symbol(self) -> str:
        """The creator's own, or else the first 8 letters and digits of the title in capitals. Both are published."""
        if self.own_symbol:
            return self.own_symbol
        plain = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode()
        return re.sub(r"[^A-Za-z0-9]", "", plain).upper()[:SYMBOL_LENGTH] or NO_SYMBOL

    @property
    def image(self) -> str | None:
        """The cover, or else the first image with a URL."""
        return self.cover or self.cover_image_url or next(self._links(), None)

    @property
    def featured_image(self) -> str | None:
        """The first image with a URL that is not `image`."""
        return next((link for link in self._links() if link != self.image), None)

    def covered(self, tokens: Sequence[Token]) -> "Offer":
        """With the image of the token that is the cover, if it is among these and has one."""
        image = next((token.image_uri for token in tokens if token.number == self.cover_token), None)
        return msgspec.structs.replace(self, cover=image)

    def traits(self, token: Token) -> list[Trait]:
        """The token's traits as the rules of the publication write them."""
        return [typed(trait, self.rules) for trait in token.traits]

    def trait_type(self, trait: Trait) -> TraitType:
        """The type of the trait, which in documents of early releases is that of each value."""
        if self.rules is not None:
            return self.rules.traits.get(trait.name) or type_of(trait.value)
        return "text" if isinstance(trait.value, str) else "integer" if isinstance(trait.value, int) else "number"

    def royalties_on(self, chain: str) -> list[Royalty]:
        """The royalties of receivers whose address is on `chain`."""
        return [royalty for royalty in self.royalties if is_address(royalty.receiver, chain)]

    def creators_on(self, chain: str) -> list[Creator]:
        """The creators whose address is on `chain`."""
        return [creator for creator in self.creators if is_address(creator.address, chain)]

    def token_name(self, number: int) -> str:
        """The name of a token, by its number from 1."""
        return f"{self.title} #{number}"

    def token_link(self, number: int) -> str | None:
        """The token's public page; that of the collection in documents of early releases."""
        return f"{self.link}/{number}" if self.link and self.rules is not None else self.link

    def _links(self) -> Iterator[str]:
        for image in self.images:
            link = image.get("url") if isinstance(image, Mapping) else image
            if isinstance(link, str) and is_link(link):
                yield link


def basis_points(percent: str) -> int:
    """Exact: a receiver's percentage has two decimals at most."""
    return int(Decimal(percent) * 100)


def present(**members: Any) -> dict[str, Any]:
    """The members except None, empty texts and empty lists."""
    return {name: value for name, value in members.items() if value is not None and value not in ("", [])}
