"""A collection's tokens: the artworks of one finished job, numbered from 1 in the job's own order.

`services.collections.queries.token` reads them, for the metadata endpoints and for publish packages.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from shared.content.media import extension
from shared.contracts.collections import ArtworkFile, Trait, artwork_of, image_of
from shared.contracts.storage import ImageScaled, Rendition, RenditionKind


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`cids`: the CIDv1 of the files that have one, by asset id.

    `scaled`: the smaller copies of the image, once it is decided whether there are any.
    """

    number: int
    gid: UUID | None
    hash: str
    traits: list[Trait]
    files: list[ArtworkFile]
    cids: Mapping[int, str]
    made_at: datetime | None
    scaled: ImageScaled | None = None

    @property
    def artifact(self) -> ArtworkFile | None:
        """The artwork itself: the last file that its steps made."""
        return artwork_of(self.files)

    @property
    def image(self) -> ArtworkFile | None:
        """The artwork if it is an image, else the last image that its steps made."""
        return image_of(self.files)

    @property
    def image_uri(self) -> str | None:
        """The URI of the image; None if there is none."""
        image = self.image
        return self.uri(image) if image else None

    def rendition(self, kind: RenditionKind) -> Rendition | None:
        """A smaller copy of the image; None until it is made, and of an image that can't be decoded."""
        renditions = self.scaled.renditions if self.scaled else ()
        return next((rendition for rendition in renditions if rendition.kind == kind), None)

    def uri(self, file: ArtworkFile) -> str:
        """`ipfs://<cid>` if the CID is known, else the public URL."""
        cid = self.cids.get(file.asset_id)
        return f"ipfs://{cid}" if cid else file.url


def rendition_name(number: int, rendition: Rendition) -> str:
    """The name of a smaller copy of a token's image."""
    return f"{number}.{rendition.kind}.{extension(rendition.mime_type)}"
