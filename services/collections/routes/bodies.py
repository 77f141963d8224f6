"""Request bodies."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.collections.domain.collection.editing import PreviewChanges
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.receivers import Share


class ProjectBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class CollectionBody(FieldChanges, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publishing fields and the GenerationInput. An edit leaves missing members unchanged; a creation uses defaults."""

    data: dict[str, Any] | UnsetType | None = UNSET


class ReceiverBody(Share, frozen=True, forbid_unknown_fields=True):
    """`value` is a percentage: of the sale of each token, or with the purpose `royalty` of its resales.

    `role`: without one, `creator` for the type `creator`, else `other`. Creators are named in metadata. `type`: any
    text of the platform's; without one, the role.
    """


class ReceiversBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`royalty_receiver`, on EVM chains: the address of a contract that splits the royalties."""

    receivers: list[ReceiverBody]
    royalty_receiver: str | None = None


class PublishBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`publish_date`: RFC 3339 with a UTC offset; without one, or with one in the past, it is published at once.

    `job_id`: the finished job whose artworks are sold; `generations`: only these of its artworks, in the order of their
    tokens. Without both, the series that was chosen for the draft, or else the only job that has finished.

    `dry_run`: returns the faults that prevent publishing, and the metadata; nothing is recorded.
    """

    job_id: UUID | None = None
    generations: list[UUID] | None = None
    publish_date: datetime | None = None
    dry_run: bool = False


class SeriesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`generations`: artworks of the job, in the order of their tokens; all of them in its own order if missing."""

    job_id: UUID
    generations: list[UUID] | None = None


class PreviewBody(PreviewChanges, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Missing members stay unchanged.

    `max_generations`: how many artworks each visitor may make. `paid_by`: whose credits these take, `visitor` or
    `owner`.
    """


class RemixBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`is_custodial`: on behalf of the user `social_identifier` of `social_org`, such as farcaster."""

    project_id: UUID | None = None
    is_custodial: bool = False
    social_org: str | None = None
    social_identifier: str | None = None


class TemplateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On behalf of the user `social_identifier` of `social_org`, such as farcaster.

    `overrides`: values by path, of publishing fields (`title`) and of the instructions, which have that value in the
    template (`data.steps[0].nodePayload.prompt`). A text replaces a rich document by one with that text.
    `collection_preview`: as in `PUT /collections/{id}/preview`.
    """

    template_collection_id: UUID
    social_org: str
    social_identifier: str
    overrides: dict[str, Any] = {}
    collection_preview: PreviewBody = PreviewBody()


class CustodyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`user_id`: the new owner."""

    user_id: UUID
