"""The grants of an account that are not used up: by id, in the order of use, and in the order in which they expire.

No change copies what it does not touch: the ids are in a persistent map (a hash trie, as Python's own contextvars), and
the two orders are tuples of references, no longer than an account's open grants.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

import msgspec

from shared.persistent import Map

NONE: Map[Any, Any] = Map()
MANY = 16
"""As many places are put into an order one by one; more are sorted into it together."""
NEVER = datetime.max.replace(tzinfo=UTC)

Place = tuple[Any, ...]
"""Where a grant stands in an order; ends with its id."""


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where every micro-credit of a grant is: `amount == available + held + spent + expired`.

    `order` says how many grants the account was given before this one.
    """

    grant_id: UUID
    amount: int
    priority: int
    order: int
    available: int
    expires_at: datetime | None = None
    held: int = 0
    spent: int = 0
    expired: int = 0

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @property
    def is_used_up(self) -> bool:
        return not self.available and not self.held


class OpenGrants:
    """Immutable, and equal to another with the same grants."""

    __slots__ = ("_by_id", "_expiring", "_queue", "available")

    def __init__(
        self,
        by_id: Map[UUID, Grant] = NONE,
        queue: tuple[Place, ...] = (),
        expiring: tuple[Place, ...] = (),
        available: int = 0,
    ) -> None:
        """For `of` and `with_changed`, which keep the four of them in agreement."""
        self._by_id, self._queue, self._expiring = by_id, queue, expiring
        self.available = available
        """Micro-credits, with those of grants that have expired and are not recorded so yet."""

    @classmethod
    def of(cls, grants: Iterable[Grant]) -> "OpenGrants":
        return cls().with_changed(list(grants))

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Grant]:
        """Oldest first."""
        return iter(sorted(self._by_id.values(), key=lambda grant: grant.order))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenGrants) and self._by_id == other._by_id

    def __hash__(self) -> int:
        return hash(self._by_id)

    def __repr__(self) -> str:
        return f"OpenGrants({list(self)})"

    def get(self, grant_id: UUID) -> Grant | None:
        return self._by_id.get(grant_id)

    def __getitem__(self, grant_id: UUID) -> Grant:
        return self._by_id[grant_id]

    def in_order_of_use(self, now: datetime) -> Iterator[Grant]:
        """Those with something available: lowest priority first, then nearest expiry, then oldest."""
        return (grant for place in self._queue if not (grant := self._by_id[place[-1]]).is_expired(now))

    def due(self, now: datetime) -> list[Grant]:
        """Those with something available that is past its expiry, oldest first."""
        places = takewhile(lambda place: place[0] <= now, self._expiring)
        return sorted((self._by_id[place[-1]] for place in places), key=lambda grant: grant.order)

    def with_changed(self, changed: Sequence[Grant]) -> "OpenGrants":
        """With these grants instead of those of their ids, or beside them; one that is used up leaves."""
        gone, come, available = list[Grant](), list[Grant](), self.available
        grants = self._by_id
        for grant in changed:
            before = grants.get(grant.grant_id)
            available += grant.available - (before.available if before else 0)
            if before and before.available and not grant.available:
                gone.append(before)
            if grant.available and not (before and before.available):
                come.append(grant)
            if not grant.is_used_up:
                grants = grants.set(grant.grant_id, grant)
            elif before:
                grants = grants.delete(grant.grant_id)
        return OpenGrants(
            grants,
            _moved(self._queue, map(_use, gone), map(_use, come)),
            _moved(self._expiring, map(_expiry, _with_expiry(gone)), map(_expiry, _with_expiry(come))),
            available,
        )

    def to_plain(self) -> list[Grant]:
        """As it is stored; the orders follow from it."""
        return list(self)

    @classmethod
    def from_plain(cls, plain: Any) -> "OpenGrants":
        return cls.of(msgspec.convert(plain, list[Grant]))


def _use(grant: Grant) -> Place:
    return (grant.priority, grant.expires_at or NEVER, grant.order, grant.grant_id)


def _expiry(grant: Grant) -> Place:
    return (grant.expires_at, grant.order, grant.grant_id)


def _with_expiry(grants: Iterable[Grant]) -> Iterator[Grant]:
    return (grant for grant in grants if grant.expires_at is not None)


def _moved(places: tuple[Place, ...], gone: Iterable[Place], come: Iterable[Place]) -> tuple[Place, ...]:
    leaving, arriving = list(gone), list(come)
    if not leaving and not arriving:
        return places
    order = list(places)
    for place in leaving:
        del order[bisect_left(order, place)]
    if len(arriving) > MANY:
        return tuple(sorted([*order, *arriving]))
    for place in arriving:
        insort(order, place)
    return tuple(order)
