"""Creates jobs, and checks their results, for tests on a whole set."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from infra.demo.client import ApiError, Client
from infra.demo.journey import ENDED
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet

STEPS = 2
PRICE = 1.25


def two_steps(size: int = 96) -> dict[str, Any]:
    """A GenerationInput: a sketch and a frame around it, fast to render."""
    return {
        "version": "v2",
        "steps": [
            {
                "id": 1,
                "nodeName": "sketch",
                "nodePayload": {"prompt": "a {{mood}} tide", "width": size, "height": size},
            },
            {"id": 2, "nodeName": "frame", "nodePayload": {"image": {"$ref": 1}, "title": "{{mood}}"}},
        ],
        "variables": [
            {
                "name": "mood",
                "type": "pick",
                "value_type": "strings",
                "lock_value": False,
                "value": {"display_names": ["Calm", "Wild"], "values": ["calm", "wild"]},
            }
        ],
    }


async def start_job(client: Client, generations: int) -> dict[str, Any]:
    collection = await client.post("/projects/collections", {"title": "Tides", "data": two_steps()})
    return await client.post(f"/collections/{collection['id']}/generations", {"generations": generations})


async def until_progress(client: Client, job_id: str, share: float) -> dict[str, Any]:
    return await _job(client, job_id, lambda job: job["progress"] >= share or job["status"] in ENDED)


async def until_ended(client: Client, job_id: str) -> dict[str, Any]:
    return await _job(client, job_id, lambda job: job["status"] in ENDED)


async def answered(request: Awaitable[Any], *passing: int) -> list[Any]:
    """The request's answer as a list of one; an empty list if it was refused with a status in `passing`."""
    try:
        return [await request]
    except ApiError as refused:
        if refused.status not in passing:
            raise
        return []


async def _job(client: Client, job_id: str, condition: Callable[[Any], bool]) -> dict[str, Any]:
    """The job, once it meets the condition. Failing requests are retried: the set's processes may be being killed."""

    async def look() -> dict[str, Any]:
        job: dict[str, Any] = await client.get(f"/jobs/{job_id}")
        if not condition(job):
            raise NotYet({name: job[name] for name in ("status", "progress", "credits", "error")})
        return job

    return await eventually(look, f"job {job_id} to make progress", passing=(Exception,), every=0.1)


async def balance_of(client: Client) -> dict[str, Any]:
    """The amounts of the balance, without the limits."""
    account = await client.get("/credits")
    return {name: account[name] for name in ("available", "held", "spent")}


async def until_settled(client: Client) -> dict[str, Any]:
    """The balance, once no hold is open."""

    async def look() -> dict[str, Any]:
        balance = await balance_of(client)
        if balance["held"]:
            raise NotYet(balance)
        return balance

    return await eventually(look, "no credits to be held", passing=(Exception,), every=0.1)


def history(running: RunningSet, service: str, stream: UUID | str | None = None) -> list[dict[str, Any]]:
    """A service's events, as `emprops events --json` prints them."""
    arguments = ["events", "--service", service, *(["--stream", str(stream)] if stream else [])]
    events = running.command(*arguments)
    return events if isinstance(events, list) else [events]


def assert_done_once(running: RunningSet, job: dict[str, Any], generations: int) -> None:
    """Every step was completed once, every file stored once, and the job paid once."""
    job_id = job["id"]
    steps = [
        event["event"]["sid"]
        for event in history(running, "generation")
        if event["type"].startswith("step_completed") and event["event"]["job_id"] == job_id
    ]
    assert len(steps) == generations * STEPS
    assert len(set(steps)) == len(steps), "a step was completed twice"
    stored = [
        event["event"]["path"]
        for event in history(running, "storage")
        if event["type"].startswith("asset_stored") and event["event"]["job_id"] == job_id
    ]
    assert len(stored) == generations * STEPS
    assert len(set(stored)) == len(stored), "a file was stored twice"
    ledger = [
        (event["type"], event["event"]["amount"])
        for event in history(running, "credits")
        if event["event"].get("job_id") == job_id
    ]
    price = int(generations * PRICE * 1_000_000)
    assert ledger == [("hold_placed.v1", price), ("hold_captured.v1", price)]


def assert_rebuilds_are_equal(running: RunningSet) -> None:
    """Each read table, rebuilt from history, equals the live one row by row."""
    for service in ("collections", "generation", "credits", "storage"):
        for report in running.command("projections", "rebuild", "--service", service, "--check", check=False):
            assert (report["missing"], report["extra"], report["not_compared"]) == (0, 0, None), f"{service}: {report}"
