"""What users have been answered of late: how far each service had come then, so that they are shown nothing older.

Each edge process remembers for itself, and no longer than it takes for what was written to be shown everywhere. Clients
that are served by several edges pass on the `Emprops-Position` of what they were answered; the two add up.
"""

import time
from collections import OrderedDict
from uuid import UUID

from services.edge.routing import Upstream
from shared.contracts.problem import Problem
from shared.http.positions import HEADER, Position, newest, parse_positions

USERS = 50_000
"""Users that are remembered, each with a position of every service: a kilobyte each, 50 MB of all."""
SERVICES = frozenset(upstream.value for upstream in Upstream)
REMEMBERED = 60.0
"""Seconds."""


class UserPositions:
    def __init__(self) -> None:
        self._users: OrderedDict[UUID, tuple[float, dict[str, Position]]] = OrderedDict()

    def note(self, user: UUID, told: str) -> None:
        """What an answer said of itself."""
        try:
            positions = parse_positions(told, HEADER)
        except Problem:
            return  # a service of another release may say it otherwise
        positions = [position for position in positions if position.service in SERVICES]
        known = self._users.pop(user, (0.0, {}))[1]
        self._users[user] = (time.monotonic(), newest([*known.values(), *positions]))
        if len(self._users) > USERS:
            self._users.popitem(last=False)

    def of(self, user: UUID) -> str:
        """What to ask services for on the user's behalf; empty when there is nothing to say."""
        known = self._users.get(user)
        if known is None:
            return ""
        at, positions = known
        if time.monotonic() - at > REMEMBERED:
            del self._users[user]
            return ""
        return ", ".join(map(str, positions.values()))
