"""The demonstration: grants credits, creates and generates a collection, downloads the files, reads the cost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from infra.demo.client import Client, Event

STYLES = ["tideline at dusk", "a garden of slow stars", "paper mountains", "the hum of a neon river"]
ENDED = {"completed", "partially_completed", "failed", "cancelled", "expired", "rejected"}
STALL_SECONDS = 60.0
"""Seconds without an event of a job after which the demo stops waiting for it."""


class Stalled(Exception):  # noqa: N818 - a state of the job
    """The job makes no progress."""


class DemoAsset(msgspec.Struct, frozen=True):
    asset_id: int
    url: str
    sha256: str
    mime_type: str
    file: str = ""
    """Where it was downloaded to."""
    intact: bool = False
    """Whether the bytes that were downloaded have this sha256."""


class DemoCredits(msgspec.Struct, frozen=True):
    granted: float
    captured: float
    available: float


class DemoResult(msgspec.Struct, frozen=True):
    collection_id: str
    job_id: str
    status: str
    assets: list[DemoAsset]
    credits: DemoCredits
    entries: list[dict[str, Any]]

    @property
    def succeeded(self) -> bool:
        return self.status == "completed" and bool(self.assets) and all(asset.intact for asset in self.assets)


@dataclass
class Reporter:
    """Receives the journey's progress: sentences, the share done, and the job's events."""

    say: Callable[[str], None] = lambda _sentence: None
    progress: Callable[[float, str], None] = lambda _share, _text: None
    events: list[Event] = field(default_factory=list)


def instructions() -> dict[str, Any]:
    """Two steps: a sketch from a prompt with a drawn variable, and a frame around the first step's image."""
    return {
        "version": "v2",
        "steps": [
            {
                "id": 1,
                "nodeName": "sketch",
                "alias": "Sketch",
                "nodePayload": {"prompt": "{{theme}}", "width": 1024, "height": 1024, "seed": -1},
            },
            {
                "id": 2,
                "nodeName": "frame",
                "alias": "Frame",
                "nodePayload": {"image": {"$ref": 1}, "title": "{{theme}}"},
            },
        ],
        "variables": [
            {
                "name": "theme",
                "type": "pick",
                "value_type": "strings",
                "lock_value": False,
                "test_value": STYLES[0],
                "value": {"display_names": [style.capitalize() for style in STYLES], "values": STYLES},
            }
        ],
    }


async def journey(
    user: Client, operator: Client | None, user_id: str, directory: Path, generations: int, report: Reporter
) -> DemoResult:
    """Create a collection, generate it, download its files, and read the balance.

    `operator` grants the credits; None: the user must have enough. Raises ApiError if a request is refused, and Stalled
    after STALL_SECONDS without progress.
    """
    granted = 0.0
    if operator:
        granted = float(max(5, generations * 2))
        await operator.post("/credits/grants", {"user_id": user_id, "amount": granted, "source": "demo"})
        report.say(f"granted {granted:g} credits to user {user_id}")
    collection = await user.post("/projects/collections", {"title": "First light", "data": instructions()})
    report.say(f"collection {collection['id']} “{collection['title']}”: {len(collection['data']['steps'])} steps")
    job = await user.post(f"/collections/{collection['id']}/generations", {"generations": generations})
    report.say(f"job {job['job_id']}: {generations} generations, {job['status']}")
    await _follow(user, job["job_id"], 2 * generations, report)
    finished = await user.get(f"/jobs/{job['job_id']}")
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    completed = [generation async for generation in user.items(f"/jobs/{job['job_id']}/generations")]
    assets = [await _fetch(user, output, directory) for output in _files(completed)]
    balance = await _final_balance(user)
    entries = await user.get(f"/credits/entries?job_id={job['job_id']}")
    captured = finished["credits"]["captured"]
    return DemoResult(
        collection["id"],
        job["job_id"],
        finished["status"],
        assets,
        DemoCredits(granted, captured, balance["available"]),
        entries,
    )


async def _follow(user: Client, job_id: str, steps: int, report: Reporter) -> None:
    try:
        async with asyncio.timeout(STALL_SECONDS) as bound:
            await _report(user, job_id, steps, report, bound)
    except TimeoutError:
        raise Stalled(f"job {job_id} has made no progress for {STALL_SECONDS:g} s") from None


async def _report(user: Client, job_id: str, steps: int, report: Reporter, bound: asyncio.Timeout) -> None:
    completed = 0
    running: dict[str, float] = {}
    async for event in user.events(f"/jobs/{job_id}/events"):
        bound.reschedule(asyncio.get_running_loop().time() + STALL_SECONDS)
        report.events.append(event)
        sid = str(event.data.get("sid", ""))
        if event.event == "node_progress":
            running[sid] = float(event.data.get("progress", 0))
        elif event.event == "node_completed":
            completed += 1
            running.pop(sid, None)
        text = f"{completed} of {steps} steps"
        if event.event == "job_status":
            text = str(event.data.get("status", ""))
        report.progress(min(1.0, (completed + 0.9 * sum(running.values())) / steps), text)


def _files(generations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        output
        for generation in generations
        for output in generation["outputs"]
        if output["kind"] == "asset" and output.get("asset_id") is not None
    ]


async def _fetch(user: Client, output: dict[str, Any], directory: Path) -> DemoAsset:
    asset = await user.get(f"/assets/{output['asset_id']}")
    file = directory / f"{asset['id']}-{Path(asset['name']).name}"
    digest = await user.download(f"/assets/{asset['id']}/content", file)
    return DemoAsset(
        asset["id"], asset["url"], asset["sha256"], asset["mime_type"], str(file), digest == asset["sha256"]
    )


async def _final_balance(user: Client, seconds: float = 15.0) -> dict[str, Any]:
    """The balance once no hold is open, or after `seconds`: credits captures a hold shortly after its job has ended."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        balance: dict[str, Any] = await user.get("/credits")
        if not balance["held"] or asyncio.get_running_loop().time() > deadline:
            return balance
        await asyncio.sleep(0.1)
