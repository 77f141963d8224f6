"""A worker needs no more rights than the set gives it: it may make no stream, and sends nothing but its answers."""

from pathlib import Path

from infra.embedded.nats_users import OWNERS, service_users
from shared.messaging import connected
from tests.integration.workers.support import Engine, Storage, WorkerProcess, eventually
from tests.support.servers import Servers


async def test_with_a_workers_rights_it_does_its_work(servers: Servers, storage: Storage, tmp_path: Path) -> None:
    """It comes first, and waits until the generation service has made the streams."""
    users = service_users({name: f"password-of-{name}" for name in (*OWNERS, "audit", "worker", "operator")})
    with servers.start_nats(users) as server:
        worker = WorkerProcess(server.url("worker"), tmp_path / "worker.log")
        try:
            await eventually(lambda: waits(worker), "it waits for the streams")
            async with connected(server.url("operator"), "engine") as client:
                engine = await Engine(client, storage.url).open()
                await worker.ready()
                work = engine.work("sketch", prompt="harbour", width=64, height=64)
                assert (await engine.run(work)).status == "completed"
                await eventually(lambda: said_last(engine), "its progress is heard")
        finally:
            worker.kill()


async def waits(worker: WorkerProcess) -> bool:
    return "lane_waits" in worker.log


async def said_last(engine: Engine) -> bool:
    return any(word.progress == 1.0 for word in engine.progress)
