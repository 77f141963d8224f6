"""The metadata documents of a package: the members that the standards of each chain define, and their types.

Other members are allowed, as the standards allow them. ERC-7572 and TZIP-16 define the collection's document; ERC-721
with OpenSea's attributes, and TZIP-12 with TZIP-21, define a token's.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from shared.content.manifest_forms import Size, Text

Uri = Annotated[str, msgspec.Meta(pattern="^(https?|ipfs)://.")]
Interface = Annotated[str, msgspec.Meta(pattern="^TZIP-[0-9]{3}")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class FileReference(NamedTuple):
    """A file that a token's document names: the JSON pointer of the member, and its URI."""

    pointer: str
    uri: str


class EvmCollection(msgspec.Struct, frozen=True):
    """ERC-7572, `contractURI`."""

    name: Text
    symbol: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    image: Uri | UnsetType = UNSET
    banner_image: Uri | UnsetType = UNSET
    featured_image: Uri | UnsetType = UNSET
    external_link: Uri | UnsetType = UNSET


class EvmAttribute(msgspec.Struct, frozen=True):
    value: str | int | float
    trait_type: Text | UnsetType = UNSET
    display_type: Text | UnsetType = UNSET


class EvmToken(msgspec.Struct, frozen=True):
    """ERC-721 and ERC-1155, with OpenSea's attributes."""

    name: Text
    description: str | UnsetType = UNSET
    image: Uri | UnsetType = UNSET
    animation_url: Uri | UnsetType = UNSET
    external_url: Uri | UnsetType = UNSET
    attributes: list[EvmAttribute] | UnsetType = UNSET

    @property
    def artwork(self) -> FileReference | None:
        """Where it names the artwork: at `animation_url` if it has that, else at `image`."""
        return next((reference for reference in reversed(list(self.files()))), None)

    def files(self) -> Iterator[FileReference]:
        """The files that it names."""
        yield from _present(("/image", self.image), ("/animation_url", self.animation_url))


class TezosLicense(msgspec.Struct, frozen=True):
    name: Text
    details: Text | UnsetType = UNSET


class TezosCollection(msgspec.Struct, frozen=True):
    """TZIP-16."""

    name: Text
    interfaces: list[Interface]
    description: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    license: TezosLicense | UnsetType = UNSET
    authors: list[Text] | UnsetType = UNSET
    homepage: Uri | UnsetType = UNSET
    imageUri: Uri | UnsetType = UNSET  # noqa: N815 - the standard's names, here and below


class TezosDimensions(msgspec.Struct, frozen=True):
    value: Text
    unit: Text


class TezosFormat(msgspec.Struct, frozen=True):
    uri: Uri
    mimeType: Text  # noqa: N815
    fileSize: Size | UnsetType = UNSET  # noqa: N815
    fileName: Text | UnsetType = UNSET  # noqa: N815
    hash: Text | UnsetType = UNSET
    dimensions: TezosDimensions | UnsetType = UNSET


class TezosAttribute(msgspec.Struct, frozen=True):
    name: Text
    value: str
    type: Text | UnsetType = UNSET


class TezosRoyalties(msgspec.Struct, frozen=True):
    decimals: Count
    shares: dict[Text, Count]


class TezosToken(msgspec.Struct, frozen=True):
    """TZIP-12 and TZIP-21, with the marketplaces' royalties."""

    decimals: Count
    name: Text
    symbol: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    artifactUri: Uri | UnsetType = UNSET  # noqa: N815
    displayUri: Uri | UnsetType = UNSET  # noqa: N815
    thumbnailUri: Uri | UnsetType = UNSET  # noqa: N815
    externalUri: Uri | UnsetType = UNSET  # noqa: N815
    minter: Text | UnsetType = UNSET
    creators: list[Text] | UnsetType = UNSET
    isBooleanAmount: bool | UnsetType = UNSET  # noqa: N815
    formats: list[TezosFormat] = []
    attributes: list[TezosAttribute] | UnsetType = UNSET
    tags: list[Text] | UnsetType = UNSET
    rights: str | UnsetType = UNSET
    rightUri: Uri | UnsetType = UNSET  # noqa: N815
    date: str | UnsetType = UNSET
    royalties: TezosRoyalties | UnsetType = UNSET

    @property
    def artwork(self) -> FileReference | None:
        """Where it names the artwork."""
        return next(_present(("/artifactUri", self.artifactUri)), None)

    def files(self) -> Iterator[FileReference]:
        """The files that it names."""
        yield from _present(
            ("/artifactUri", self.artifactUri),
            ("/displayUri", self.displayUri),
            ("/thumbnailUri", self.thumbnailUri),
            *((f"/formats/{place}/uri", item.uri) for place, item in enumerate(self.formats)),
        )


def _present(*members: tuple[str, str | UnsetType]) -> Iterator[FileReference]:
    return (FileReference(pointer, uri) for pointer, uri in members if isinstance(uri, str))


class Forms(NamedTuple):
    """The forms of a chain's documents."""

    collection: type[EvmCollection | TezosCollection]
    token: type[EvmToken | TezosToken]


EVM = Forms(EvmCollection, EvmToken)
FORMS = {"base": EVM, "ethereum": EVM, "tezos": Forms(TezosCollection, TezosToken)}
"""By the name of the chain's folder."""
