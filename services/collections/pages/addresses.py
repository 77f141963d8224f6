"""The addresses that a collection's pages link to, all on the platform's own host."""

from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from services.collections.domain.artwork.tokens import Token
from shared.contracts.collections import ArtworkFile


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Links have only the path of `public_url`, so a page stays on the host that it was read from.

    What a reader copies from the page is absolute. `public_url`: where everybody reaches the edge.
    `has_files`: whether the tokens' files are at their numbers, which they are not if an early release published the
    collection. `roots`: of the published packages, the newest first; their files are at their CIDs.
    """

    collection_id: UUID
    public_url: str
    has_files: bool
    roots: Sequence[str]

    def absolute(self, path: str) -> str:
        """A link of a page as a URL; only its path if the service has no PUBLIC_URL."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}{path}" if self.public_url else path

    def page(self, number: int = 1) -> str:
        """A page of the collection's tokens."""
        path = self._path(f"/c/{self.collection_id}")
        return path if number == 1 else f"{path}?page={number}"

    def token(self, number: int) -> str:
        """A token's page."""
        return self._path(f"/c/{self.collection_id}/{number}")

    def metadata(self, number: int | None = None) -> str:
        """The document of the collection, or of a token."""
        name = "metadata?raw=true" if number is None else f"tokens/{number}.json"
        return self._path(f"/collections/{self.collection_id}/{name}")

    def api(self, name: str = "") -> str:
        """What the API answers about the collection."""
        return self._path(f"/collections/{self.collection_id}{name}")

    def ipfs(self, cid: str) -> str:
        """Content of a published package."""
        return self._path(f"/ipfs/{cid}")

    def thumbnail(self, token: Token) -> str | None:
        """A small image of the token; None if it can't be read without a token."""
        return self._file(token, token.image, "thumbnail")

    def image(self, token: Token) -> str | None:
        """The token's image; None as of `thumbnail`."""
        return self._file(token, token.image, "image")

    def animation(self, token: Token) -> str | None:
        """The artwork if it is no image; None as of `thumbnail`."""
        artwork = token.artifact
        return self._file(token, artwork, "animation") if artwork != token.image else None

    def _file(self, token: Token, file: ArtworkFile | None, kind: str) -> str | None:
        if file is None:
            return None
        if self.has_files:
            return self.api(f"/tokens/{token.number}/{kind}")
        cid = token.cids.get(file.asset_id)
        return self.ipfs(cid) if cid and self.roots else None

    def _path(self, path: str) -> str:
        return urlsplit(self.public_url).path.rstrip("/") + path
