"""The creator's guide is true: each request in it is sent, and each answer is what it says.

A block ```` ```http as=WHO ```` is a request: method and path, headers, an empty line, a body. The block after it is
the answer: its status stands beside the format. Members and items that are shown must be there; `<name>` is an id,
found the first time and the same ever after; `…` stands for anything, also within a text. What is asked by GET is asked
again until it is as shown.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet

GUIDE = Path(__file__).parents[2] / "docs" / "tutorial" / "creators-guide.md"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"<([a-z ]+)>")


@dataclass(frozen=True)
class Exchange:
    """`line`: where the request stands in the guide."""

    line: int
    who: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    format: str
    answer: str


def exchanges(guide: str) -> Iterator[Exchange]:
    blocks = [
        (guide.count("\n", 0, block.start()) + 1, block[1], block[2].strip(), block[3])
        for block in BLOCK.finditer(guide)
        if block[1] in {"http", "json", "csv"}
    ]
    assert len(blocks) % 2 == 0, "each request has one answer"
    for (line, kind, who, request), (_, format_, status, answer) in zip(blocks[::2], blocks[1::2], strict=True):
        assert kind == "http", f"line {line}: a request comes before its answer"
        head, _, body = request.partition("\n\n")
        first, *headers = head.strip().splitlines()
        method, path = first.split(" ", 1)
        yield Exchange(
            line,
            who.removeprefix("as=") or "creator",
            method,
            path,
            dict(header.split(": ", 1) for header in headers),
            body,
            int(status),
            format_,
            answer,
        )


@dataclass
class Reader:
    """Follows the guide, and learns the ids that it names."""

    known: dict[str, Any]
    learned: dict[str, Any] = field(default_factory=dict)

    def filled(self, text: str) -> str:
        return NAME.sub(lambda name: str(self.known[name[1]]), text)

    def filled_json(self, text: str) -> Any:
        """With ids in place of their names: those that are numbers, as numbers."""
        return self._fill(json.loads(text)) if text.strip() else None

    def _fill(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._fill(item) for name, item in value.items()}
            case list():
                return [self._fill(item) for item in value]
            case str():
                whole = NAME.fullmatch(value)
                return self.known[whole[1]] if whole else self.filled(value)
        return value

    def differences(self, expected: Any, actual: Any, where: str = "") -> list[str]:
        """What is not as shown; what is learned on the way counts only when nothing differs."""
        self.learned = {}
        return list(self._differences(expected, actual, where))

    def _differences(self, expected: Any, actual: Any, where: str) -> Iterator[str]:
        if isinstance(expected, dict) and isinstance(actual, dict):
            for name, item in expected.items():
                if name in actual:
                    yield from self._differences(item, actual[name], f"{where}/{name}")
                else:
                    yield f"{where}/{name} is missing"
        elif isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                yield f"{where} has {len(actual)} items: {actual}"
            for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
                yield from self._differences(one, other, f"{where}/{index}")
        elif not self._same(expected, actual):
            yield f"{where} is {actual!r}, not {expected!r}"

    def _same(self, expected: Any, actual: Any) -> bool:
        if expected == "…":
            return True
        if not isinstance(expected, str):
            return bool(expected == actual)
        if whole := NAME.fullmatch(expected):
            return bool(self.known.get(whole[1], self.learned.setdefault(whole[1], actual)) == actual)
        pattern = ".*".join(re.escape(self.filled(part)) for part in expected.split("…"))
        return isinstance(actual, str) and re.fullmatch(pattern, actual, re.DOTALL) is not None


async def test_the_creators_guide_is_true(running: RunningSet) -> None:
    me = uuid4()
    all_exchanges = list(exchanges(GUIDE.read_text()))
    assert len(all_exchanges) > 20, "the guide's blocks are found"
    reader = Reader({"me": str(me)})
    async with aiohttp.ClientSession() as session:
        for exchange in all_exchanges:
            await follow(exchange, reader, running, session, me)


async def follow(
    exchange: Exchange, reader: Reader, running: RunningSet, session: aiohttp.ClientSession, me: UUID
) -> None:
    tokens = {"creator": (me, "user"), "operator": (uuid4(), "user", "operator")}
    headers = dict(exchange.headers)
    if exchange.who != "anonymous":
        headers["Authorization"] = f"Bearer {running.token(*tokens[exchange.who])}"
    body = reader.filled_json(exchange.body)
    where = f"{GUIDE.name}:{exchange.line}: {exchange.method} {exchange.path}"

    async def is_as_written() -> bool:
        async with session.request(
            exchange.method, running.url + reader.filled(exchange.path), headers=headers, json=body
        ) as response:
            text = await response.text()
        wrong = differences(exchange, reader, response.status, text)
        assert not wrong or exchange.method == "GET", "\n".join([where, *wrong, text])
        if wrong:
            raise NotYet(*wrong, text)
        return True

    await eventually(is_as_written, f"{where} to be answered as the guide says", every=0.2)
    reader.known.update(reader.learned)


def differences(exchange: Exchange, reader: Reader, status: int, text: str) -> list[str]:
    if status != exchange.status:
        return [f"the status is {status}, not {exchange.status}"]
    if exchange.format == "csv":
        return [] if text.splitlines() == exchange.answer.splitlines() else ["the table is another one"]
    return reader.differences(json.loads(exchange.answer), json.loads(text)) if exchange.answer.strip() else []
