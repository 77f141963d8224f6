"""Request bodies."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.collections.domain.collection.fields import FieldChanges


class ProjectBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class CollectionBody(FieldChanges, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publishing fields and the GenerationInput. What is left out stays as it is, or as it begins."""

    data: dict[str, Any] | UnsetType | None = UNSET


class ReceiverBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`value` is a percentage."""

    address: str
    value: Decimal
    type: str


class ReceiversBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    receivers: list[ReceiverBody]


class PublishBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`publish_date`: RFC 3339 with its zone; at once without one, or with one that is past.

    `dry_run`: says what would keep it from being published, and what it would look like; nothing is recorded.
    """

    publish_date: datetime | None = None
    dry_run: bool = False


class PreviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    enabled: bool | UnsetType = UNSET
    max_generations: int | UnsetType = UNSET
    is_remixable: bool | UnsetType = UNSET


class RemixBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`is_custodial`: kept for whom `social_org` (farcaster, twitter, discord, lens, github) knows by that name."""

    project_id: UUID | None = None
    is_custodial: bool = False
    social_org: str | None = None
    social_identifier: str | None = None


class CustodyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`user_id`: whose the collection is from now on."""

    user_id: UUID
