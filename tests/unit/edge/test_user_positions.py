"""What the edge remembers of its users is bounded: in number, and so in bytes, since each entry is."""

import tracemalloc
from uuid import UUID

import pytest

from services.edge.forwarding import user_positions
from services.edge.forwarding.user_positions import SERVICES, UserPositions
from shared.http.positions import MAX_TOKENS

LARGEST = ", ".join(f"{service}:{10**9 - 1}:{10**18 - 1}" for service in SERVICES)
USER_BYTES = 1500
SOME = 500


def test_an_entry_takes_about_a_kilobyte() -> None:
    remembered = UserPositions()
    tracemalloc.start()
    try:
        for number in range(SOME):
            for _ in range(3):
                remembered.note(UUID(int=number), LARGEST)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert remembered.of(UUID(int=0)) == LARGEST
    assert size / SOME < USER_BYTES


def test_only_positions_of_services_behind_the_edge_are_remembered() -> None:
    """Whatever answers say, an entry has no more of them than there are services."""
    remembered = UserPositions()
    for turn in range(100):
        names = [f"{chr(97 + turn % 26)}{chr(97 + number)}" for number in range(MAX_TOKENS - 1)]
        remembered.note(UUID(int=1), ", ".join(f"{name}:1:1" for name in names) + ", credits:1:7")
    assert remembered.of(UUID(int=1)) == "credits:1:7"


def test_the_users_that_were_longest_not_answered_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_positions, "MAX_USERS", 10)
    remembered = UserPositions()
    for number in range(12):
        remembered.note(UUID(int=number), "credits:1:7")
        remembered.note(UUID(int=0), "credits:1:7")
    assert [bool(remembered.of(UUID(int=number))) for number in range(12)] == [True, False, False, *[True] * 9]
