"""Counts the statements that this process passes to psycopg."""

from collections import Counter
from typing import Any

import psycopg
import pytest


class Statements:
    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def note(self, query: Any) -> None:
        text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else query.as_string()
        self.sent[" ".join(text.split())] += 1

    def of(self, part: str) -> int:
        """How many statements contained this text."""
        return sum(number for text, number in self.sent.items() if part in text)


def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Counts statements until the test ends."""
    counted, execute = Statements(), psycopg.AsyncCursor.execute

    async def counting(self: psycopg.AsyncCursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        counted.note(query)
        return await execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counting)
    return counted
