"""A stored file in the API."""

from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from services.storage.projections.assets import AssetRow


class AssetView(msgspec.Struct, frozen=True):
    """A stored file. `gen_in_data` and `gen_out_data`: the generation's input and outcome; null until it has ended."""

    id: int
    name: str
    url: str
    path: str
    mime_type: str
    size: int
    sha256: str
    cid: str | None
    """CIDv1 under the profile unixfs-v1-2025 (IPIP-0499): the file's address on IPFS."""
    gen_in_data: dict[str, Any] | None
    gen_out_data: dict[str, Any] | None
    user_id: UUID
    component_id: int | None
    collection_id: UUID | None
    job_id: UUID | None
    created_at: datetime


class Links(msgspec.Struct, frozen=True):
    """Public URLs of files: at the CDN if one is set, else at this service, through the edge."""

    public_url: str
    cdn_url: str

    def link(self, asset_id: int, path: str) -> str:
        if self.cdn_url:
            return f"{self.cdn_url.rstrip('/')}/{quote(path)}"
        return f"{self.public_url.rstrip('/')}/assets/{asset_id}/content"

    def view(self, row: AssetRow) -> AssetView:
        fields = {name: getattr(row, name) for name in AssetView.__struct_fields__ if name not in {"id", "url"}}
        return AssetView(id=row.asset_id, url=self.link(row.asset_id, row.path), **fields)
