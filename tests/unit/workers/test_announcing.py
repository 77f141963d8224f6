"""What a worker announces of itself, with a NATS client that only records it."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from shared.contracts.work import Announcement, AttemptInProgress, OfferedModel, OfferedService
from tests.support.patience import eventually
from workers.kit.announcing import Announcer, instance_name


@dataclass
class Lane:
    kind: str
    bound: bool = True


class Client:
    def __init__(self) -> None:
        self.announced: list[Announcement] = []

    async def publish(self, subject: str, body: bytes) -> None:
        announcement = msgspec.json.decode(body, type=Announcement)
        assert subject == announcement.subject
        self.announced.append(announcement)


def announcer(client: Client, lanes: list[Lane], working: list[AttemptInProgress], **options: Any) -> Announcer:
    arguments: Any = client, "text-1", "text", "1.0", lanes, lambda: working
    return Announcer(*arguments, concurrency=4, **options)


async def test_it_announces_at_once_when_lanes_change_and_at_its_end() -> None:
    client, working = Client(), [AttemptInProgress(uuid4(), 1, "2026-11-27T00:00:00+00:00")]
    lanes = [Lane("direct_job.text"), Lane("fetch_api.http_api", bound=False)]
    task = asyncio.create_task(announcer(client, lanes, working).run())
    await eventually(lambda: client.announced, "the first announcement")
    text, api = OfferedService("direct_job", "text", 4), OfferedService("fetch_api", "http_api", 4)
    assert (client.announced[0].services, client.announced[0].working) == ([text], working)
    lanes[1].bound = True
    await eventually(lambda: len(client.announced) > 1, "the announcement of the other lane")
    assert client.announced[1].services == [text, api]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert client.announced[-1].services == []
    assert len({announcement.started_at for announcement in client.announced}) == 1


@pytest.mark.parametrize(("count", "is_listed"), [(100, True), (20_000, False)])
async def test_a_list_of_models_that_no_message_can_hold_is_left_out(count: int, *, is_listed: bool) -> None:
    """The worker itself is still announced."""
    client = Client()
    models = [OfferedModel("checkpoints", f"a-model-with-a-long-name-{number}.safetensors") for number in range(count)]
    task = asyncio.create_task(announcer(client, [Lane("comfy_workflow.comfy")], [], models=lambda: models).run())
    await eventually(lambda: client.announced, "the first announcement")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert client.announced[0].models == (models if is_listed else None)
    assert client.announced[0].services


@pytest.mark.parametrize("configured", ["", "worker-1", "a.b c>*"])
def test_an_instance_is_a_word_of_a_subject(configured: str) -> None:
    name = instance_name("text", configured)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
    assert name.startswith("text-") if not configured else True
