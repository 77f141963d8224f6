"""What must hold while something is silent, and after it has spoken again: asked of a whole set under load."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager

import aiohttp

from tests.support.load import Load, busy_seconds
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet

SERVICES = ("collections", "generation", "credits", "storage")
READY_SECONDS, STATUS_SECONDS = 2.0, 3.0
RECOVERY_SECONDS = 5.0
"""After the end of a silence, until everything goes on."""
NOTICE_SECONDS = 10.0
"""Within this time, checks that judge by progress must notice a silence; requests notice it at once."""
NAMES = {"postgres": ("database", "postgres", "store"), "nats": ("nats", "broker"), "s3": ("file store", "s3")}
"""Words, one of which tells an operator what is silent."""
WHO_NEEDS = {"postgres": SERVICES, "nats": SERVICES, "s3": ("storage",)}


def both(running: RunningSet, *services: str) -> list[str]:
    """All replicas of services, by the names of their processes."""
    return [f"{service}-{number}" for service in services for number in range(1, running.replicas + 1)]


async def readiness(session: aiohttp.ClientSession, running: RunningSet, process: str) -> tuple[int, str, float]:
    """Status of `/health/ready`, its checks that fail with what they say, and the seconds that it took."""
    began = time.monotonic()
    async with session.get(f"{running.info(process).url}/health/ready") as response:
        checks = (await response.json())["checks"]
        seconds = time.monotonic() - began
    failing = [f"{name}: {check.get('detail')}" for name, check in checks.items() if check["status"] != "ok"]
    return response.status, "; ".join(failing).lower(), seconds


async def assert_told(running: RunningSet, server: str) -> None:
    """Readiness of the services that need the server names it, and so does `emprops status`; both in time."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        for process in both(running, *WHO_NEEDS[server]):
            seconds = await _until_told(session, running, process, server)
            assert seconds < READY_SECONDS + busy_seconds(), f"readiness of {process} took {seconds:.1f} s"
    await assert_status_tells(running, *NAMES[server])


async def _until_told(session: aiohttp.ClientSession, running: RunningSet, process: str, server: str) -> float:
    """The seconds that the answer took which names the server."""

    async def told() -> float:
        code, words, seconds = await readiness(session, running, process)
        if code != 503 or not any(name in words for name in NAMES[server]):
            raise NotYet(f"{code}: {words}")
        return seconds

    # The last look may take as long as readiness may.
    within = NOTICE_SECONDS + READY_SECONDS + busy_seconds()
    return await eventually(told, f"{process} says that {server} is silent", within=within, every=0.2)


async def assert_status_tells(running: RunningSet, *names: str) -> None:
    """`emprops status` ends in time with 1 and a sentence in which one of the names stands."""
    status = await asyncio.to_thread(running.status)
    assert status.code == 1, f"exit {status.code}:\n{status.words}"
    assert any(name in status.troubles for name in names), status.words
    assert status.seconds < STATUS_SECONDS + 2 * busy_seconds(), f"emprops status took {status.seconds:.1f} s"


@contextlib.asynccontextmanager
async def silence(
    users: Load,
    seconds: float,
    cause: Callable[[], AbstractContextManager[None]],
    *,
    recovery: float = RECOVERY_SECONDS,
) -> AsyncIterator[None]:
    """Silence of at least so many seconds around a block; after its end, everything must go on by itself."""
    with cause():
        end = time.monotonic() + seconds
        yield
        await asyncio.sleep(max(0.0, end - time.monotonic()))  # the length of the silence is what is tried here
    await users.answered_more(within=recovery)


async def assert_held(users: Load, *, excused: Sequence[str] = ()) -> None:
    """No answer came late or was wrong, nothing is lost or was done twice, and the set is in order again."""
    await asyncio.to_thread(users.running.until_in_order, 60)
    await users.assert_nothing_lost()
    assert not users.tally.slow, users.tally
    wrong = [item for item in users.tally.wrong if not any(excuse in item for excuse in excused)]
    assert not wrong, users.tally
    print(f"{users.tally}; lost 0 of {len(users.collections)} collections, 0 of {len(users.jobs)} jobs")
