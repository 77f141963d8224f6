"""The bare work queue, and the worker that does nothing."""

from benchmarks.peers.work_queue import round_trips


async def test_each_message_of_work_comes_back_as_a_result(nats_url):
    assert await round_trips(nats_url, 20) > 0
