"""Revisions of what is public of a collection, in the API."""

from datetime import datetime

import msgspec


class RevisionView(msgspec.Struct, frozen=True):
    """`at`: when it was published, or changed. `changes`: the members that differ from the revision before."""

    revision: int
    at: datetime
    changes: list[str]
