"""A bounded load on a whole set, with a tally of requests that were tried, answered and refused.

In each turn a user creates a collection, edits every second one, reads it and compares it with what was written, and
generates every third one. `assert_nothing_lost` checks afterwards that everything that was accepted has been done.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import aiohttp

from infra.demo.client import ApiError, Client
from infra.demo.journey import ENDED
from shared.stopping import stop
from tests.support.jobs import history, two_steps
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet

COMMAND_SECONDS, READ_SECONDS = 15.0, 5.0
"""The longest wait for an answer, whichever process does not respond."""
TOKEN_SECONDS = 4 * 3600
REST_SECONDS = 150.0
"""Limit for jobs and payments to end after the load has stopped."""


def busy_seconds() -> float:
    """Added to any bound: time that a busy machine needs for other processes, by its load average."""
    waiting, _, _ = os.getloadavg()
    return 2.0 + waiting / (os.cpu_count() or 1)


@dataclass
class Tally:
    """The results of a load. Times are in seconds."""

    tried: Counter[str] = field(default_factory=Counter)
    """By kind: create, edit, read, list, generate, job."""
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """By `kind status CODE`, or `kind ErrorName` for a connection that broke."""
    longest: dict[str, float] = field(default_factory=dict)
    """The longest wait for an answer, by kind."""
    slow: list[str] = field(default_factory=list)
    """Answers that came after their bound."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are wrong under any fault: a 404 after a 201, a 500, an older version than was written."""

    def __str__(self) -> str:
        waits = " ".join(f"{kind} {seconds:.1f} s" for kind, seconds in sorted(self.longest.items()))
        return (
            f"tried {dict(self.tried)}, answered {dict(self.answered)}, refused {dict(self.refused)}; longest {waits}; "
            f"slow {self.slow[:5]}; wrong {self.wrong[:5]}"
        )


class Load:
    """Users at work on a set; start it with `async with load(running) as users:`."""

    def __init__(
        self,
        running: RunningSet,
        users: list[UUID],
        *,
        generations: int,
        pause: float,
        url: str | None,
        open_jobs: int | None,
    ) -> None:
        self.running, self.users, self.generations, self.pause = running, users, generations, pause
        self.url, self.open_jobs = url, open_jobs
        self.tally = Tally()
        self.collections: dict[str, UUID] = {}
        """Created collections, with their owners."""
        self.jobs: dict[str, UUID] = {}
        """Accepted jobs, with their owners."""
        self._ended: set[str] = set()
        self._answered = asyncio.Event()

    def client(self, user: UUID) -> Client:
        return Client(self.url or self.running.url, self.running.token(user, ttl=TOKEN_SECONDS))

    async def work(self, user: UUID) -> None:
        """One user's turns, until cancelled."""
        async with self.client(user) as client:
            turn = 0
            while True:
                turn += 1
                await self._one_turn(client, user, turn)
                await asyncio.sleep(self.pause)

    async def _one_turn(self, client: Client, user: UUID, turn: int) -> None:
        body = {"title": f"Tides {turn}", "data": two_steps(64)}
        collection = await self._ask(client, "create", "POST", "/projects/collections", body)
        if collection is None:
            return
        self.collections[collection["id"]] = user
        version, titles = collection["version"], {collection["title"]}
        if turn % 2 == 0:
            edited = f"Tides {turn} at dusk"
            path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
            if await self._ask(client, "edit", "PUT", path, {"title": edited}) is not None:
                version, titles = version + 1, {edited}
            else:
                titles.add(edited)  # it may have been done
        read = await self._ask(client, "read", "GET", f"/collections/{collection['id']}")
        if read is not None and (read["version"] < version or read["title"] not in titles):
            answer = f"version {read['version']}, {read['title']!r}"
            self.tally.wrong.append(
                f"GET /collections/{collection['id']}: {answer} after version {version} of {titles}"
            )
        if turn % 3 == 1 and await self._may_generate(client, user):
            path = f"/collections/{collection['id']}/generations"
            job = await self._ask(client, "generate", "POST", path, {"generations": self.generations})
            if job is not None:
                self.jobs[job["job_id"]] = user
        await self._ask(client, "list", "GET", "/projects")

    async def _may_generate(self, client: Client, user: UUID) -> bool:
        """Whether the user has fewer than `open_jobs` running: an ever-growing queue would hide what is slow."""
        if self.open_jobs is None:
            return True
        running = 0
        for job_id in [job_id for job_id, owner in self.jobs.items() if owner == user and job_id not in self._ended]:
            job = await self._ask(client, "job", "GET", f"/jobs/{job_id}")
            if job is not None and job["status"] in ENDED:
                self._ended.add(job_id)
            else:
                running += 1
        return running < self.open_jobs

    async def _ask(self, client: Client, kind: str, method: str, path: str, body: Any = None) -> Any:
        """The answer, or None if the request was refused or failed."""
        tally, began = self.tally, time.monotonic()
        tally.tried[kind] += 1
        try:
            answer = await client.call(method, path, body)
        except ApiError as error:
            tally.refused[f"{kind} {error.status} {error.code}"] += 1
            if error.status in {404, 500} or error.status < 429:
                tally.wrong.append(f"{method} {path}: {error}")
            return None
        except (aiohttp.ClientError, TimeoutError) as error:
            tally.refused[f"{kind} {type(error).__name__}"] += 1
            return None
        else:
            tally.answered[kind] += 1
            self._answered.set()
            return {} if answer is None else answer
        finally:
            seconds = time.monotonic() - began
            tally.longest[kind] = max(seconds, tally.longest.get(kind, 0.0))
            bound = READ_SECONDS if method == "GET" else COMMAND_SECONDS
            if seconds > bound + busy_seconds():
                tally.slow.append(f"{method} {path} after {seconds:.1f} s")

    async def answered_more(self, kinds: tuple[str, ...] = ("create", "read", "list"), *, within: float) -> None:
        """Waits until each kind has been answered again; fails after `within` seconds."""
        before = Counter(self.tally.answered)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within + busy_seconds()):
                while any(self.tally.answered[kind] <= before[kind] for kind in kinds):
                    self._answered.clear()
                    await self._answered.wait()
        missing = [kind for kind in kinds if self.tally.answered[kind] <= before[kind]]
        assert not missing, f"no answer to {missing} within {within} s: {self.tally}"

    async def job_ends(self, *, within: float) -> None:
        """Waits until a job that is accepted from now on has completed; fails after `within` seconds.

        By then its events have passed the relays, consumers, processes and read tables of all services.
        """
        before = set(self.jobs)
        await self.answered_more(("generate",), within=within)

        async def one_is_completed() -> bool:
            others: list[object] = []
            for job_id in set(self.jobs) - before:
                try:
                    async with self.client(self.jobs[job_id]) as client:
                        job = await client.get(f"/jobs/{job_id}")
                except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                    others.append(error)
                else:
                    if job["status"] == "completed":
                        return True
                    others.append(job)
            raise NotYet(others[-1:], self.tally)

        await eventually(one_is_completed, "a job to complete", within=within + busy_seconds(), every=0.2)

    async def assert_nothing_lost(self) -> None:
        """Every collection can be read, every job has completed and is paid, and each step was completed once."""
        for collection_id, user in self.collections.items():
            async with self.client(user) as client:
                assert (await client.get(f"/collections/{collection_id}"))["id"] == collection_id
        for job_id, user in self.jobs.items():
            async with self.client(user) as client:
                job = await _ended(client, job_id)
                assert job["status"] == "completed", f"{job}\n{self.tally}"
        events = history(self.running, "generation")
        await self._assert_paid(events)
        steps = [
            event["event"]["sid"]
            for event in events
            if event["type"].startswith("step_completed") and event["event"]["job_id"] in self.jobs
        ]
        assert len(steps) == len(set(steps)), "a step was completed twice"
        assert len(steps) == len(self.jobs) * self.generations * 2, "a step's completion was lost"

    async def _assert_paid(self, events: list[dict[str, Any]]) -> None:
        """Per user: no hold is open, and all jobs were paid once, including those whose answer was lost."""
        spent: Counter[str] = Counter()
        for event in events:
            if event["type"].startswith("job_requested"):
                spent[event["event"]["user_id"]] += event["event"]["quoted"]
        for user in self.users:
            async with self.client(user) as client:
                await eventually(
                    partial(_has_spent, client, spent[str(user)] / 1_000_000),
                    f"all jobs of {user} to be paid",
                    within=REST_SECONDS,
                    every=0.2,
                )


async def _ended(client: Client, job_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        job: dict[str, Any] = await client.get(f"/jobs/{job_id}")
        if job["status"] not in ENDED:
            raise NotYet(job)
        return job

    return await eventually(look, f"job {job_id} to end", within=REST_SECONDS, every=0.2)


async def _has_spent(client: Client, expected: float) -> bool:
    balance = await client.get("/credits")
    if balance["held"] or balance["spent"] != expected:
        raise NotYet(balance, f"expected {expected} to be spent")
    return True


@contextlib.asynccontextmanager
async def load(
    running: RunningSet,
    *,
    users: int = 3,
    generations: int = 2,
    pause: float = 0.3,
    url: str | None = None,
    open_jobs: int | None = None,
) -> AsyncIterator[Load]:
    """Users at work for the length of an `async with` block; `pause` in seconds between the turns of each.

    `url` is the edge that they use; the set's own when None. `open_jobs`: how many of each user's may run at a time.
    """
    rich = [await running.rich_user(10_000) for _ in range(users)]
    users_at_work = Load(running, rich, generations=generations, pause=pause, url=url, open_jobs=open_jobs)
    tasks = [asyncio.create_task(users_at_work.work(user)) for user in rich]
    try:
        yield users_at_work
        for task in tasks:
            assert not task.done(), f"a user gave up: {task.exception()!r}"
    finally:
        await stop(*tasks)
