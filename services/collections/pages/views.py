"""What the pages of a collection and of its tokens show."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import plain
from services.collections.domain.chains.offer import Creator
from services.collections.pages.addresses import Addresses
from services.collections.views.package import PublishedPackageView
from shared.contracts.collections import Trait

COINS = {"ETHEREUM": "ETH", "BASE": "ETH", "TEZOS": "tez"}
TOKENS_PER_PAGE = 48
"""A multiple of the columns that common screens have room for: 2, 3, 4, 6."""
MAX_SPOKEN_TRAITS = 6
"""Traits in the text that stands for a picture; the page of the token lists all."""


class CollectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What each page of a published collection has.

    `tokens`: how many there are. `packages`: the newest first. `license_url`: https or ipfs.
    """

    title: str
    description: str
    creators: Sequence[Creator]
    chain: str | None
    price: str | None
    license: str | None
    license_url: str | None
    rights: str | None
    tags: Sequence[str]
    tokens: int
    published_at: datetime
    revision: int | None
    job_id: UUID | None
    packages: Sequence[PublishedPackageView]
    addresses: Addresses


class Card(msgspec.Struct, frozen=True):
    """A token in the list. `picture`: its address; None if it has none that everybody can read."""

    number: int
    link: str
    picture: str | None
    alt: str


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the list of tokens, of `pages`; `others` are pages to go to, with None where some are left out.

    `preview`: the address of the picture that link previews show: the cover, if it is the image of a token.
    """

    facts: CollectionFacts
    cards: Sequence[Card]
    preview: str | None
    number: int
    pages: int
    others: Sequence[int | None]


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a token. `link`: where everybody can read it, if anywhere; `cid` if it is known."""

    role: str
    mime_type: str
    size: int
    sha256: str
    cid: str | None
    link: str | None


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """A token's page. `media`: how the artwork is shown, beside its picture if it is no image."""

    facts: CollectionFacts
    number: int
    name: str
    alt: str
    picture: str | None
    animation: str | None
    media: str
    traits: Sequence[Trait]
    files: Sequence[FileFacts]
    hash: str
    gid: UUID | None
    made_at: datetime | None

    @property
    def page_of_list(self) -> int:
        """The page of the collection that has this token."""
        return (self.number - 1) // TOKENS_PER_PAGE + 1


def pages_of(tokens: int) -> int:
    """How many pages list the tokens: at least one."""
    return max(-(-tokens // TOKENS_PER_PAGE), 1)


def card(token: Token, addresses: Addresses) -> Card:
    return Card(token.number, addresses.token(token.number), addresses.thumbnail(token), spoken(token))


def token_page(facts: CollectionFacts, token: Token, name: str) -> TokenPage:
    addresses, artwork = facts.addresses, token.artifact
    return TokenPage(
        facts=facts,
        number=token.number,
        name=name,
        alt=spoken(token),
        picture=addresses.image(token),
        animation=addresses.animation(token),
        media=artwork.mime_type.partition("/")[0] if artwork else "image",
        traits=token.traits,
        files=files(token, addresses),
        hash=token.hash,
        gid=token.gid,
        made_at=token.made_at,
    )


def files(token: Token, addresses: Addresses) -> list[FileFacts]:
    """The artwork, and the image that represents it if it is another file."""
    artwork, image = token.artifact, token.image
    listed = [("Artwork", artwork, addresses.image(token) if artwork == image else addresses.animation(token))]
    if image != artwork:
        listed.append(("Image", image, addresses.image(token)))
    return [
        FileFacts(
            role=role,
            mime_type=file.mime_type,
            size=file.size,
            sha256=file.sha256,
            cid=token.cids.get(file.asset_id),
            link=link,
        )
        for role, file, link in listed
        if file is not None
    ]


def spoken(token: Token) -> str:
    """The alternative text of a token's picture: its number and first traits."""
    traits = ", ".join(f"{trait.name} {plain(trait.value)}" for trait in token.traits[:MAX_SPOKEN_TRAITS])
    return f"Artwork {token.number}: {traits}" if traits else f"Artwork {token.number}"


def price_of(price: str | None, blockchain: str | None) -> str | None:
    """A price in words. None if it was never set."""
    if price is None:
        return None
    return "Free" if price == "0" else f"{price} {COINS.get(blockchain or '', '')}".rstrip()


def pages_around(number: int, pages: int) -> list[int | None]:
    """The first page, those around `number`, and the last one; None for each gap between them."""
    numbers = sorted({1, number - 1, number, number + 1, pages} & set(range(1, pages + 1)))
    around: list[int | None] = []
    for page in numbers:
        before = around[-1] if around else None
        if before is not None and page - before == 2:
            around.append(page - 1)
        elif before is not None and page - before > 2:
            around.append(None)
        around.append(page)
    return around
