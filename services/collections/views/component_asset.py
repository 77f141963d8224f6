"""Files that components made, in the API."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.collections.projections.component_assets import ComponentAssetRow


class ComponentAssetView(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a component made; `GET /assets/{id}` has the URL of its bytes."""

    id: int
    name: str
    path: str
    mime_type: str
    sha256: str
    cid: str | None
    """CIDv1 of the bytes, if storage has computed it: `ipfs://<cid>` is their permanent address."""
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    gen_in_data: dict[str, Any] | None
    gen_out_data: dict[str, Any] | None
    created_at: datetime


def component_asset_view(row: ComponentAssetRow) -> ComponentAssetView:
    return ComponentAssetView(
        id=row.asset_id,
        name=row.name,
        path=row.path,
        mime_type=row.mime_type,
        sha256=row.sha256,
        cid=row.cid,
        component_id=row.component_id,
        job_id=row.job_id,
        gid=row.gid,
        gen_in_data=msgspec.json.decode(row.gen_in_data) if row.gen_in_data else None,
        gen_out_data=msgspec.json.decode(row.gen_out_data) if row.gen_out_data else None,
        created_at=row.created_at,
    )
