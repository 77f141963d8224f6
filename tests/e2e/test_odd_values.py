"""Odd values in every place of every operation, on the real set: never a 5xx, and a refusal that helps.

The operations and their example bodies are those of the API's document. What is refused has a pointer that exists in
what was sent, takes 16 KB at most, and has recorded nothing: no event in any service carries its correlation id.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg
import pytest_asyncio
from yarl import URL

from tests.support.jobs import start_job, two_steps, until_ended
from tests.support.odd_values import HEADERS, PLAIN, bodies, exists, share
from tests.support.running_set import RunningSet

SERVICES = ("collections", "generation", "credits", "storage")
LARGEST = 16 * 1024
AT_ONCE = 8
SHARE = int(os.environ.get("ODD_SHARE", "6"))
"""Each place gets every sixth odd value, other ones from place to place; with ODD_SHARE=1 all of them."""
OTHER_EXAMPLES: dict[str, Any] = {
    "generate": {"variables": {"mood": "calm"}, "generations": 1, "hashes": ["a"], "dry_run": True},
    "giveGrant": {
        "user_id": str(uuid4()),
        "amount": "12.5",
        "source": "test",
        "priority": 100,
        "expires_at": "2030-01-01T00:00:00Z",
        "external_id": "odd",
    },
}
"""Of operations whose document has none."""
ABOUT_ITS_SUBJECT = {"publishCollection", "generate"}
"""Operations whose refusals point into the collection that they are about, too."""
ENDS_IT = {"publishCollection", "archiveCollection", "transferCustody"}
"""Operations after which the collection takes no others: each try gets a new one."""

RECORDED = """
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
    asked: int = 0
    dropped: int = 0
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
    ) -> None:
        """One request, and everything that must hold of its answer."""
        correlation = str(uuid4())
        who = "operator" if operation.id == "giveGrant" else "user"
        sent = {**self.headers[who], "X-Correlation-ID": correlation, **(headers or {})}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        what = f"{operation.method} {address[:120]} {odd[:120]} {(data or b'')[:160]!r}"
        self.asked += 1
        try:
            async with self.session.request(
                operation.method, URL(self.running.url + address, encoded=True), data=data, headers=sent
            ) as response:
                if response.content_type == "text/event-stream":
                    return
                answer = await response.read()
        except ValueError:
            return  # nothing that a client could send
        except aiohttp.ClientConnectionError:
            self.dropped += 1  # it closed an idle connection, or refused the body before it was sent
            return
        self.statuses[response.status] += 1
        if response.status >= 500:
            self.faults.append(f"{response.status} of {what}: {answer[:200]!r}")
        if response.status < 400:
            return
        self.refused.append(correlation)
        if len(answer) > LARGEST:
            self.faults.append(f"an answer of {len(answer)} bytes to {what}")
        if operation.method != "HEAD":
            self._check_pointers(json.loads(answer), what, address, headers or {}, documents)

    def _check_pointers(
        self, problem: Any, what: str, address: str, headers: dict[str, str], documents: tuple[Any, ...]
    ) -> None:
        for detail in problem["details"]:
            pointer = detail["pointer"]
            missing = "required" in detail["message"]
            if pointer.startswith("?"):
                there = pointer[1:].rstrip("…") in address or missing
            elif pointer.startswith("header:"):
                there = missing or pointer.removeprefix("header:").lower() in {"content-type", *map(str.lower, headers)}
            elif pointer.startswith("path:"):
                there = True
            else:
                place = pointer.rpartition("/")[0] if missing else pointer
                there = any(exists(place, document) for document in documents)
            if not there or re.search(r"ParamType|<class|Traceback|Error\(", str(problem)):
                self.faults.append(f"{pointer!r} ({detail['message'][:80]}) in the answer to {what}")

    async def assert_no_faults(self) -> None:
        """Nothing that was refused has been recorded, and nothing else was found."""
        for service in SERVICES:
            dsn = self.running.file.services[service].database_url
            async with await psycopg.AsyncConnection.connect(dsn) as connection:
                rows = await (await connection.execute(RECORDED, (self.refused,))).fetchall()
                self.faults += [f"{service} recorded something of what was refused: {row[0]}" for row in rows]
        assert self.dropped <= self.asked / 100, f"{self.dropped} of {self.asked} got no answer"
        told = "\n".join(sorted(set(self.faults))[:40])
        assert not self.faults, f"{len(self.faults)} faults in {self.asked} requests ({dict(self.statuses)}):\n{told}"


@pytest_asyncio.fixture
async def scene(running: RunningSet) -> AsyncIterator[Scene]:
    user = await running.rich_user(100)
    async with running.client(user) as client:
        job = await start_job(client, 1)
        ended = await until_ended(client, job["job_id"])
        collection = await client.get(f"/collections/{ended['collection_id']}")
        assets = await client.get("/assets")
        package = await client.post(f"/collections/{collection['id']}/packages", {"job_id": job["job_id"]})
    ids = {
        "project_id": collection["project_id"],
        "collection_id": collection["id"],
        "job_id": job["job_id"],
        "asset_id": str(assets[0]["id"]),
        "package_id": package["id"],
        "component_id": str(collection["data"]["steps"][0]["id"]),
        "number": "1",
        "workflow": "sketch",
    }
    headers = {
        "user": {"Authorization": f"Bearer {running.token(user)}"},
        "operator": {"Authorization": f"Bearer {running.token(uuid4(), 'operator')}"},
    }
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Scene(running, session, user, headers, ids, collection)


async def operations(scene: Scene) -> list[Operation]:
    async with scene.session.get(f"{scene.running.url}/schema/openapi.json") as response:
        document = await response.json()
    found = []
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "delete"):
            if method not in item:
                continue
            operation = item[method]
            made = Operation(method.upper(), path, operation["operationId"], operation.get("parameters", []))
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                examples = content.get("examples") or {}
                shown = [each["value"] for each in examples.values()] + [content.get("example")]
                made.example = OTHER_EXAMPLES.get(made.id, shown[0])
                assert made.example is not None, f"{made.id} shows no example of its body"
            found.append(made)
    return found


async def all_at_once(works: list[Any]) -> None:
    """So many at a time as the session has connections."""
    await asyncio.gather(*works)


async def test_odd_values_in_bodies(scene: Scene) -> None:
    for operation in await operations(scene):
        if operation.example is None:
            continue
        works = []
        for body in bodies(operation.example, SHARE):
            try:
                sent = json.loads(body.raw, parse_int=str)
            except (ValueError, RecursionError):
                # What begins as the example does may be refused before it is found to be no JSON.
                sent = operation.example
            address, subject = scene.address(operation), scene.collection
            if operation.id in ENDS_IT:
                subject = await scene.new_collection()
                address = scene.address(operation, collection_id=subject["id"])
            documents = (sent, subject) if operation.id in ABOUT_ITS_SUBJECT else (sent,)
            works.append(scene.ask(operation, address, body.raw, odd=body.pointer, documents=documents))
        await all_at_once(works)
    await scene.assert_no_faults()


async def test_odd_values_in_addresses_and_headers(scene: Scene) -> None:
    turn = 0
    for operation in await operations(scene):
        if operation.id in ENDS_IT:
            continue
        data = None if operation.example is None else json.dumps(operation.example).encode()
        if operation.method != "GET" and data is None and operation.id not in {"storeAsset", "setVariables"}:
            data = b"{}"
        works = []
        for parameter in operation.parameters:
            name, place = parameter["name"], parameter["in"]
            turn += 1
            for odd in share(HEADERS if place == "header" else PLAIN, SHARE, turn):
                address, headers = scene.address(operation), {}
                if place == "path":
                    address = scene.address(operation, **{name: odd})
                elif place == "query":
                    address += f"?{name}={odd}"
                else:
                    headers = {name: odd}
                works.append(
                    scene.ask(
                        operation, address, data, headers, f"{place} {name}", (operation.example, scene.collection)
                    )
                )
        works.append(scene.ask(operation, f"{scene.address(operation)}?unheard_of=1", data, odd="a query"))
        works.append(scene.ask(operation, f"{scene.address(operation)}?limit=1&limit=1", data, odd="a query"))
        await all_at_once(works)
    await scene.assert_no_faults()
