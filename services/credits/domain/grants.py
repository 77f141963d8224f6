"""The open grants of an account: by id, in the order of use, and in the order of expiry.

A change copies no unchanged grant: the ids are in a persistent map (a hash trie), and the two orders are tuples of
references, as long as the account has open grants.
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
MAX_INSERTIONS = 16
"""Sort keys up to this number are inserted one by one; more are added together and sorted."""
NEVER = datetime.max.replace(tzinfo=UTC)

SortKey = tuple[Any, ...]
"""A grant's sort key in one of the orders; its last element is the grant's id."""


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A grant, in micro-credits: `amount == available + held + spent + expired + reversed`.

    `order`: the number of grants that the account had before this one, closed ones included.
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
    reversed: int = 0

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @property
    def is_used_up(self) -> bool:
        return not self.available and not self.held


class OpenGrants:
    """The grants that are not used up. Immutable; equal if the grants are."""

    __slots__ = ("_by_id", "_expiring", "_queue", "available")

    def __init__(
        self,
        by_id: Map[UUID, Grant] = NONE,
        queue: tuple[SortKey, ...] = (),
        expiring: tuple[SortKey, ...] = (),
        available: int = 0,
    ) -> None:
        """Only for `of` and `with_changed`, which keep the four consistent."""
        self._by_id, self._queue, self._expiring = by_id, queue, expiring
        self.available = available
        """Micro-credits, including grants whose expiry has passed but is not recorded yet."""

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
        """Grants with available credits: lowest priority number first, then nearest expiry, then oldest."""
        return (grant for key in self._queue if not (grant := self._by_id[key[-1]]).is_expired(now))

    def due(self, now: datetime) -> list[Grant]:
        """Grants with available credits that are past their expiry, oldest first."""
        keys = takewhile(lambda key: key[0] <= now, self._expiring)
        return sorted((self._by_id[key[-1]] for key in keys), key=lambda grant: grant.order)

    def with_changed(self, changed: Sequence[Grant]) -> "OpenGrants":
        """Replaces or adds these grants by id, and drops those that are used up."""
        removed, added, available = list[Grant](), list[Grant](), self.available
        grants = self._by_id
        for grant in changed:
            before = grants.get(grant.grant_id)
            available += grant.available - (before.available if before else 0)
            if before and before.available and not grant.available:
                removed.append(before)
            if grant.available and not (before and before.available):
                added.append(grant)
            if not grant.is_used_up:
                grants = grants.set(grant.grant_id, grant)
            elif before:
                grants = grants.delete(grant.grant_id)
        return OpenGrants(
            grants,
            _reordered(self._queue, map(_use_key, removed), map(_use_key, added)),
            _reordered(self._expiring, map(_expiry_key, _with_expiry(removed)), map(_expiry_key, _with_expiry(added))),
            available,
        )

    def to_plain(self) -> list[Grant]:
        """The stored form; `from_plain` computes the orders from it."""
        return list(self)

    @classmethod
    def from_plain(cls, plain: Any) -> "OpenGrants":
        return cls.of(msgspec.convert(plain, list[Grant]))


def _use_key(grant: Grant) -> SortKey:
    return (grant.priority, grant.expires_at or NEVER, grant.order, grant.grant_id)


def _expiry_key(grant: Grant) -> SortKey:
    return (grant.expires_at, grant.order, grant.grant_id)


def _with_expiry(grants: Iterable[Grant]) -> Iterator[Grant]:
    return (grant for grant in grants if grant.expires_at is not None)


def _reordered(keys: tuple[SortKey, ...], removed: Iterable[SortKey], added: Iterable[SortKey]) -> tuple[SortKey, ...]:
    leaving, arriving = list(removed), list(added)
    if not leaving and not arriving:
        return keys
    order = list(keys)
    for key in leaving:
        del order[bisect_left(order, key)]
    if len(arriving) > MAX_INSERTIONS:
        return tuple(sorted([*order, *arriving]))
    for key in arriving:
        insort(order, key)
    return tuple(order)
