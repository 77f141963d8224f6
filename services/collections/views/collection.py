"""Collections in the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.collections.domain.collection.receivers import with_purposes
from services.collections.domain.collection.state import Collection
from services.collections.projections.collections import CollectionRow, ListedCollection
from shared.contracts.collections import Payer, Purpose, SalesReceiver


class PreviewView(msgspec.Struct, frozen=True):
    """`max_generations`: how many artworks each visitor may make. `paid_by`: whose credits these take."""

    enabled: bool
    max_generations: int
    is_remixable: bool
    paid_by: Payer


class ReceiverView(msgspec.Struct, frozen=True):
    """A receiver of a part of each sale, or of each resale. `value` is a percentage, an exact decimal."""

    address: str
    value: str
    type: str
    purpose: Purpose
    name: str | None
    role: str


class CollectionSummary(ListedCollection, frozen=True, kw_only=True):
    """A collection as lists show it. `price` is an exact decimal, and `version` the ETag's number."""

    revision: int | None
    """Of what is public: 1 as it was published, one more for each change since then; null for a draft."""
    receivers: list[ReceiverView]
    royalty_receiver: str | None
    """Takes all royalties on EVM chains: a contract that splits them."""
    preview: PreviewView
    forked_from: UUID | None
    is_custodial: bool
    """Kept for a person who is known by a social account only: `social_org` and `social_identifier`."""
    social_org: str | None
    social_identifier: str | None
    created_at: datetime
    updated_at: datetime
    version: int


class CollectionView(CollectionSummary, frozen=True, kw_only=True):
    """A collection in full, for its owner. `data` is its GenerationInput."""

    data: dict[str, Any]


def collection_summary(row: CollectionRow) -> CollectionSummary:
    common = {name: getattr(row, name) for name in ListedCollection.__struct_fields__}
    return CollectionSummary(
        **common,
        revision=row.revision,
        receivers=_receivers(msgspec.convert(row.receivers, list[SalesReceiver])),
        royalty_receiver=row.royalty_receiver,
        preview=PreviewView(
            row.preview_enabled, row.preview_max_generations, row.preview_is_remixable, row.preview_paid_by
        ),
        forked_from=row.forked_from,
        is_custodial=row.social_org is not None,
        social_org=row.social_org,
        social_identifier=row.social_identifier,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
    )


def collection_view(
    state: Collection, version: int, *, created_at: datetime, updated_at: datetime, is_current: bool = False
) -> CollectionView:
    """A collection in full, as it is or as it was."""
    assert state.collection_id is not None, "a collection with a view exists"
    assert state.project_id is not None, "a collection is created in a project"
    assert state.user_id is not None, "a collection is created by a user"
    preview, custody = state.preview, state.custody
    return CollectionView(
        id=state.collection_id,
        project_id=state.project_id,
        user_id=state.user_id,
        status=state.status,
        archived=state.archived,
        is_current=is_current,
        scheduled_for=datetime.fromisoformat(state.scheduled_for) if state.scheduled_for else None,
        publish_date=datetime.fromisoformat(state.publish_date) if state.publish_date else None,
        revision=state.revision,
        receivers=_receivers(state.receivers),
        royalty_receiver=state.royalty_receiver,
        preview=PreviewView(preview.enabled, preview.max_generations, preview.is_remixable, preview.paid_by),
        forked_from=state.forked_from,
        is_custodial=custody is not None,
        social_org=custody.social_org if custody else None,
        social_identifier=custody.social_identifier if custody else None,
        created_at=created_at,
        updated_at=updated_at,
        version=version,
        data=state.data,
        **msgspec.structs.asdict(state.fields),
    )


def _receivers(receivers: Sequence[SalesReceiver]) -> list[ReceiverView]:
    return [msgspec.convert(receiver, ReceiverView, from_attributes=True) for receiver in with_purposes(receivers)]
