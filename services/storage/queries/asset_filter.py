"""Which of a user's files are listed."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class AssetFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Each condition that is not None must hold. `since`: stored then or later."""

    job_id: UUID | None = None
    collection_id: UUID | None = None
    component_id: int | None = None
    mime: str | None = None
    """A media type without parameters, or all of one kind, as `image/*`; in lower case."""
    since: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Those of the query, by name."""
        family = self.mime is not None and self.mime.endswith("/*")
        return {
            "job_id": self.job_id,
            "collection_id": self.collection_id,
            "component_id": self.component_id,
            "essence": None if family else self.mime,
            "family": self.mime.removesuffix("*") if family and self.mime else None,
            "since": self.since,
        }
