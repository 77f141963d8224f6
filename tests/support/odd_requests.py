"""Arbitrary requests to a whole set, and checks of each answer."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg
from yarl import URL

from shared.http.positions import HEADER
from tests.support.jobs import two_steps
from tests.support.odd_values import exists
from tests.support.running_set import RunningSet

SERVICES = ("collections", "generation", "credits", "storage")
MAX_ERROR_BYTES = 16 * 1024
MAX_CONCURRENT = 8
OF_OPERATORS = (
    "giveGrant",
    "reverseGrant",
    "refundJob",
    "setLimitsOfUser",
    "pauseJob",
    "unpauseJob",
    "registerWorkflow",
    "changeWorkflow",
    "deprecateWorkflow",
    "pauseWorkflow",
    "unpauseWorkflow",
    "testWorkflow",
    "describeModel",
    "changeModel",
)
ROLES = {**dict.fromkeys(OF_OPERATORS, "operator"), "upload": "worker"}
"""Whose token an operation's requests carry; a user's for all others."""
OF_TWO_PARTS = {"createAndGenerate"}
"""Operations that leave what their first part has made, if the second one is refused."""

ODD_WORKFLOW = "odd"
"""The workflow that operators' requests are about: other tests of the set use the built-in ones."""
DEFINITION: dict[str, Any] = {
    "form": {"fields": [{"id": "prompt", "name": "Prompt", "type": "input", "default": "x"}]},
    "inputs": [{"id": "prompt", "pathJq": ".payload.prompt", "is_required": True}],
    "job": {"service_required": "sketch", "payload": {"prompt": ""}},
    "cost": {"expression": "0.5"},
}

SELECT_RECORDED = """
select metadata::text from (select convert_from(metadata, 'UTF8')::jsonb as metadata from events) e
where metadata ->> 'correlation_id' = any(%s)"""


@dataclass
class Operation:
    method: str
    path: str
    id: str
    parameters: list[dict[str, Any]]
    example: Any = None


@dataclass
class Scene:
    """A user with one of everything, and an operator."""

    running: RunningSet
    session: aiohttp.ClientSession
    user: UUID
    headers: dict[str, dict[str, str]]
    ids: dict[str, str]
    collection: Any
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT))
    """Bounds concurrent requests."""
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def new_collection(self) -> Any:
        async with self.running.client(self.user) as client:
            return await client.post("/projects/collections", {"title": "Odd", "data": two_steps()})

    def address(self, operation: Operation, **replaced: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda name: replaced.get(name[1], self.ids.get(name[1], "1")), operation.path)

    async def ask(
        self,
        operation: Operation,
        address: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        odd: str = "",
        documents: tuple[Any, ...] = (),
    ) -> int:
        """Sends a request, checks its answer, and returns its status; 0 if there was no answer."""
        correlation = str(uuid4())
        who = ROLES.get(operation.id, "user")
        sent = {**self.headers[who], "X-Correlation-ID": correlation, **(headers or {})}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        what = f"{operation.method} {address[:120]} {odd[:120]} {(data or b'')[:160]!r}"
        self.asked += 1
        try:
            async with (
                self.slots,
                self.session.request(
                    operation.method, URL(self.running.url + address, encoded=True), data=data, headers=sent
                ) as response,
            ):
                if response.content_type == "text/event-stream":
                    return response.status
                answer = await response.read()
        except ValueError:
            return 0  # aiohttp can't send this request
        except (aiohttp.ClientError, TimeoutError) as error:
            self.faults.append(f"{error!r} instead of an answer to {what}")
            return 0
        self.statuses[response.status] += 1
        # A position that another service has not reached is waited for, and then answered 503.
        is_wait = response.status == 503 and HEADER in (headers or {})
        if response.status >= 500 and not is_wait:
            self.faults.append(f"{response.status} of {what}: {answer[:200]!r}")
        if response.status < 400:
            return response.status
        if operation.id not in OF_TWO_PARTS:
            self.refused.append(correlation)
        if len(answer) > MAX_ERROR_BYTES:
            self.faults.append(f"an answer of {len(answer)} bytes to {what}")
        if operation.method != "HEAD":
            self._check_pointers(json.loads(answer), what, operation, address, headers or {}, documents)
        return response.status

    def _check_pointers(
        self,
        problem: Any,
        what: str,
        operation: Operation,
        address: str,
        headers: dict[str, str],
        documents: tuple[Any, ...],
    ) -> None:
        for detail in problem["details"]:
            pointer = detail["pointer"]
            missing = "required" in detail["message"]
            if pointer.startswith("?"):
                there = pointer[1:].rstrip("…") in address or missing
            elif pointer.startswith("header:"):
                there = missing or pointer.removeprefix("header:").lower() in {"content-type", *map(str.lower, headers)}
            elif pointer.startswith("path:"):
                there = f"{{{pointer.removeprefix('path:')}}}" in operation.path
            else:
                place = pointer.rpartition("/")[0] if missing else pointer
                there = any(exists(place, document) for document in documents)
            if not there or re.search(r"ParamType|<class|Traceback|Error\(", str(problem)):
                self.faults.append(f"{pointer!r} ({detail['message'][:80]}) in the answer to {what}")

    async def cut_off(
        self, operation: Operation, address: str, headers: dict[str, str], announced: str, sent: bytes
    ) -> None:
        """Sends a part of a body and disconnects: nothing may be recorded."""
        correlation = str(uuid4())
        self.refused.append(correlation)
        url = URL(self.running.url)
        own = self.headers[ROLES.get(operation.id, "user")]
        all_headers = {**own, "X-Correlation-ID": correlation, "Host": "x", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(f"{operation.method} {address} HTTP/1.1\r\n{head}{announced}\r\n\r\n".encode() + sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def errors(self) -> int:
        """How many requests the edge has answered with 5xx."""
        async with self.session.get(f"{self.running.url}/metrics") as response:
            counted = re.findall(r'http_request_seconds_count{.*status="5\d\d"} (\S+)', await response.text())
        return sum(int(float(count)) for count in counted)

    async def assert_no_faults(self) -> None:
        """No fault was found, and nothing of a refused request was recorded."""
        for service in SERVICES:
            dsn = self.running.file.services[service].database_url
            async with await psycopg.AsyncConnection.connect(dsn) as connection:
                rows = await (await connection.execute(SELECT_RECORDED, (self.refused,))).fetchall()
                self.faults += [f"{service} recorded something of what was refused: {row[0]}" for row in rows]
        lines = "\n".join(sorted(set(self.faults))[:4000])
        assert not self.faults, f"{len(self.faults)} faults in {self.asked} requests ({dict(self.statuses)}):\n{lines}"
