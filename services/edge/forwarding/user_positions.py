"""The positions of each user's latest responses, so that the user's next reads show nothing older.

Each edge process remembers for itself, for as long as read tables may take to show a write. Clients of several edges
send the `Emprops-Position` of their responses themselves; the newest position per service counts.
"""

import time
from collections import OrderedDict
from uuid import UUID

from services.edge.routing import Upstream
from shared.contracts.problem import Problem
from shared.http.positions import HEADER, Position, newest, parse_positions

MAX_USERS = 50_000
"""Users that are remembered: a kilobyte each, for a position of every service; 50 MB in all."""
SERVICES = frozenset(upstream.value for upstream in Upstream)
MAX_AGE = 60.0
"""Seconds for which a user's positions are remembered: longer than read tables take to include a write."""


class UserPositions:
    """Beyond MAX_USERS, the user whose last response is longest ago is forgotten."""

    def __init__(self) -> None:
        self._users: OrderedDict[UUID, tuple[float, dict[str, Position]]] = OrderedDict()

    def note(self, user: UUID, header: str) -> None:
        """Adds the positions of a response. A header that isn't understood is ignored: its service may be newer."""
        try:
            positions = parse_positions(header, HEADER)
        except Problem:
            return
        positions = [position for position in positions if position.service in SERVICES]
        _, previous = self._users.pop(user, (0.0, {}))
        self._users[user] = (time.monotonic(), newest([*previous.values(), *positions]))
        if len(self._users) > MAX_USERS:
            self._users.popitem(last=False)

    def of(self, user: UUID) -> str:
        """The header to add to the user's requests; empty if nothing is remembered."""
        entry = self._users.get(user)
        if entry is None:
            return ""
        noted_at, positions = entry
        if time.monotonic() - noted_at > MAX_AGE:
            del self._users[user]
            return ""
        return ", ".join(map(str, positions.values()))
