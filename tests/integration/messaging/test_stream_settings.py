"""Settings of streams of events, work and results: those of operators are kept unless ours are configured."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from services.generation.workers.broker import STREAMS, ensure_work_streams
from shared.contracts.work import RESULTS_STREAM, WORK_STREAM
from shared.messaging import StreamLimits, connected
from shared.messaging.streams import ensure_stream
from tests.integration.messaging.support import OWNER, STREAM, Broker
from tests.support.subscribing import listen

Ensure = Callable[[Client, StreamLimits | None], Awaitable[object]]


def ensure_events(client: Client, limits: StreamLimits | None) -> Awaitable[object]:
    return ensure_stream(client, OWNER, limits)


KINDS: list[tuple[Ensure, dict[str, list[str]]]] = [
    (ensure_events, {STREAM: [f"events.{OWNER}.>"]}),
    (ensure_work_streams, STREAMS),
]
"""What makes the streams, and their subjects by name."""
each_kind = pytest.mark.parametrize(("ensure", "streams"), KINDS, ids=["events", "work and results"])
THEIRS = {
    "max_age": 7200,
    "max_bytes": 5_000_000,
    "max_msg_size": 900_000,
    "max_msgs_per_subject": 70_000,
    "duplicate_window": 300,
    "description": "an operator's",
}


@each_kind
async def test_settings_of_operators_are_kept(nats_url: str, ensure: Ensure, streams: dict[str, list[str]]) -> None:
    """At each start; only configured settings change."""
    async with connected(nats_url, "test") as client:
        js = client.jetstream()
        await ensure(client, None)
        for name in streams:
            config = (await js.stream_info(name)).config
            await js.update_stream(StreamConfig(**{**config.__dict__, **THEIRS}))
        for limits, ours in (
            (None, {}),
            (StreamLimits(max_bytes=6_000_000), {"max_bytes": 6_000_000}),
            (StreamLimits(), {"max_bytes": 6_000_000}),
            (StreamLimits(max_age=3600), {"max_bytes": 6_000_000, "max_age": 3600}),
        ):
            await ensure(client, limits)
            for name in streams:
                config = (await js.stream_info(name)).config
                assert {setting: getattr(config, setting) for setting in THEIRS} == THEIRS | ours


@each_kind
async def test_a_new_stream_has_the_configured_settings(
    nats_url: str, ensure: Ensure, streams: dict[str, list[str]]
) -> None:
    async with connected(nats_url, "test") as client:
        await ensure(client, StreamLimits(max_age=3600, max_bytes=6_000_000, replicas=1))
        for name, subjects in streams.items():
            config = (await client.jetstream().stream_info(name)).config
            assert (config.subjects, config.max_age, config.max_bytes) == (subjects, 3600, 6_000_000)
            assert (config.num_replicas, config.storage, config.duplicate_window) == (1, "file", 120)


async def test_work_and_results_are_queues(nats_url: str) -> None:
    async with connected(nats_url, "test") as client:
        await ensure_work_streams(client)
        js = client.jetstream()
        assert {(await js.stream_info(name)).config.retention for name in (WORK_STREAM, RESULTS_STREAM)} == {
            "workqueue"
        }


class Clustered:
    """Answers for streams of a cluster, which a single server does not support, and records the settings it gets."""

    def __init__(self, streams: dict[str, list[str]]) -> None:
        self.configs: dict[str, dict[str, Any]] = {
            name: {"name": name, "subjects": subjects, "num_replicas": 3, "placement": {"tags": ["eu"]}, "new_one": 7}
            for name, subjects in streams.items()
        }
        self.updates = 0

    async def answer(self, message: Msg) -> None:
        verb, name = message.subject.split(".")[-2:]
        if verb != "INFO":
            self.updates += 1
            self.configs[name] = msgspec.json.decode(message.data)
        state = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0}
        await message.respond(msgspec.json.encode({"config": self.configs[name], "state": state}))


@each_kind
async def test_replicas_are_set_only_if_configured(
    broker: Broker, ensure: Ensure, streams: dict[str, list[str]]
) -> None:
    """Otherwise an operator's number is kept; other settings are sent unchanged."""
    broker.without_jetstream()
    cluster = Clustered(streams)
    async with connected(broker.url, "cluster") as servers, connected(broker.url, "test") as client:
        await listen(servers, "$JS.API.STREAM.*.*", cluster.answer)
        before = {name: dict(config) for name, config in cluster.configs.items()}
        for limits in (None, StreamLimits(), StreamLimits(replicas=3)):
            await ensure(client, limits)
        assert (cluster.configs, cluster.updates) == (before, 0)
        await ensure(client, StreamLimits(replicas=5))
        assert cluster.configs == {name: {**config, "num_replicas": 5} for name, config in before.items()}
        await ensure(client, StreamLimits(max_bytes=1_000_000))
        assert {config["num_replicas"] for config in cluster.configs.values()} == {5}
        assert cluster.updates == 2 * len(streams)
