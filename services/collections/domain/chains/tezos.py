"""TEZOS: TZIP-16 for the collection's contract, TZIP-12 and TZIP-21 for its tokens.

Royalties are the marketplaces' convention: shares out of 10^decimals, by address, in each token's document.
"""

from typing import Any

from services.collections.domain.artwork.tokens import Token, rendition_name
from services.collections.domain.artwork.trait_types import plain
from services.collections.domain.chains.offer import Creator, Offer, present
from shared.content.media import extension
from shared.contracts.collections import ArtworkFile, Trait, has_renditions
from shared.contracts.storage import Rendition, RenditionKind

CHAIN = "TEZOS"
INTERFACES = ["TZIP-012", "TZIP-016", "TZIP-021"]
ROYALTY_DECIMALS = 4
"""Shares are basis points: out of ten thousand."""
RIGHTS = "All rights reserved"
"""In the documents of early releases, which had no creator's words."""
CONTRACT_VERSION = "1.0.0"
KINDS: tuple[RenditionKind, ...] = ("display", "thumbnail")
"""Of smaller copies, in the order of `formats`."""


def collection_metadata(offer: Offer) -> dict[str, Any]:
    return present(
        name=offer.title,
        symbol=offer.symbol,
        description=offer.description,
        version=CONTRACT_VERSION,
        license=_license(offer),
        authors=[_author(creator) for creator in offer.creators_on(CHAIN)],
        homepage=offer.link,
        imageUri=offer.image,
        interfaces=INTERFACES,
    )


def token_metadata(offer: Offer, token: Token) -> dict[str, Any]:
    """One token of each artwork (`isBooleanAmount`), which can't be split (`decimals` 0)."""
    artifact, image = token.artifact, token.image
    has_copies = has_renditions(offer.rules)
    copies = [rendition for kind in KINDS if has_copies and (rendition := token.rendition(kind))]
    uris = {rendition.kind: f"ipfs://{rendition.cid}" for rendition in copies}
    return present(
        decimals=0,
        name=offer.token_name(token.number),
        symbol=offer.symbol,
        description=offer.description,
        artifactUri=token.uri(artifact) if artifact else None,
        displayUri=uris.get("display", token.image_uri),
        thumbnailUri=uris.get("thumbnail", token.image_uri),
        externalUri=offer.token_link(token.number),
        minter=offer.minter,
        creators=[creator.address for creator in offer.creators_on(CHAIN)],
        isBooleanAmount=True,
        formats=[
            *(_format(token, file, by_number=has_copies) for file in _format_files(artifact, image)),
            *(_format_of_copy(token, rendition) for rendition in copies),
        ],
        attributes=[_attribute(offer, trait) for trait in token.traits],
        tags=list(offer.tags),
        rights=offer.rights or offer.license or (RIGHTS if offer.rules is None else None),
        rightUri=offer.license_url,
        date=token.made_at.isoformat().replace("+00:00", "Z") if token.made_at else None,
        royalties=_royalties(offer),
    )


def _author(creator: Creator) -> str:
    """TZIP-16: `Name <contact>`; the address alone of one without a name."""
    return f"{creator.name} <{creator.address}>" if creator.name else creator.address


def _license(offer: Offer) -> dict[str, Any] | None:
    """TZIP-16: the license by name, and where its text is."""
    if offer.license is None:
        return {"name": RIGHTS} if offer.rules is None else None
    return present(name=offer.license, details=offer.license_url)


def _royalties(offer: Offer) -> dict[str, Any] | None:
    shares = {royalty.receiver: royalty.basis_points for royalty in offer.royalties_on(CHAIN)}
    return {"decimals": ROYALTY_DECIMALS, "shares": shares} if shares else None


def _format_files(artifact: ArtworkFile | None, image: ArtworkFile | None) -> list[ArtworkFile]:
    files = [file for file in (artifact, image) if file is not None]
    return files[:1] if artifact == image else files


def _format(token: Token, file: ArtworkFile, *, by_number: bool) -> dict[str, Any]:
    """`by_number`: the file is named as in the package, and the image has its dimensions."""
    scaled = token.scaled if by_number and file == token.image else None
    name = f"{token.number}.{extension(file.mime_type)}" if by_number else file.path.rpartition("/")[2]
    return present(
        uri=token.uri(file),
        mimeType=file.mime_type,
        fileSize=file.size or None,
        fileName=name,
        hash=f"sha256:{file.sha256}" if file.sha256 else None,
        dimensions=_dimensions(scaled.width, scaled.height) if scaled and scaled.width and scaled.height else None,
    )


def _format_of_copy(token: Token, rendition: Rendition) -> dict[str, Any]:
    return {
        "uri": f"ipfs://{rendition.cid}",
        "mimeType": rendition.mime_type,
        "fileSize": rendition.size,
        "fileName": rendition_name(token.number, rendition),
        "hash": f"sha256:{rendition.sha256}",
        "dimensions": _dimensions(rendition.width, rendition.height),
    }


def _dimensions(width: int, height: int) -> dict[str, str]:
    return {"value": f"{width}x{height}", "unit": "px"}


def _attribute(offer: Offer, trait: Trait) -> dict[str, Any]:
    """TZIP-21: an attribute's value is a string; `type` marks those of a trait that is a number."""
    value = str(trait.value) if offer.rules is None else plain(trait.value)
    attribute, kind = {"name": trait.name, "value": value}, offer.trait_type(trait)
    return attribute if kind == "text" else {**attribute, "type": kind}
