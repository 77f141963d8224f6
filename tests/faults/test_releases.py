"""The previous release's code and this one's, side by side on one set of servers, under load, in both directions."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats
import psycopg
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamState

from infra.cli.history import definition_of
from infra.demo.client import ApiError, Client
from infra.embedded.keys import AUDIENCE, DEVELOPMENT_ISSUER, ensure_private_key, public_jwks, sign_token
from shared.eventstore import EventStore
from shared.messaging.streams import MSG_ID, stream_name
from shared.projections import rebuild
from shared.stopping import stop
from tests.support.fleet import LOOPBACK, STORES, Fleet, Ground, stopped_at_the_end
from tests.support.jobs import PRICE, two_steps, until_ended, until_settled
from tests.support.old_release import ROOT, old_release
from tests.support.patience import PATIENCE, NotYet, eventually
from tests.support.servers import Bucket
from tests.support.silence import SilentProxy

pytestmark = pytest.mark.faults

GENERATIONS = 2
GRANTED = 1000
CHECK_OLD_TABLES = """
import asyncio, importlib, os
from shared.eventstore import EventStore
from shared.projections import rebuild

async def main():
    service = importlib.import_module(f"services.{os.environ['SERVICE']}.app").SERVICE
    async with EventStore.open(os.environ["DATABASE_URL"], service.codec()) as store:
        for projection in service.projections:
            done = await rebuild(store, projection, swap=False)
            print(projection.name, done.missing, done.extra)

asyncio.run(main())
"""


@dataclass
class Load:
    """Users who create collections and have them generated, by whichever fleets they are led to."""

    token: Callable[..., str]
    fleets: list[Fleet]
    open: Counter[str] = field(default_factory=Counter)
    done: int = 0
    by_user: dict[UUID, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, users: int) -> AsyncIterator[None]:
        self._ending = False
        tasks = [asyncio.create_task(self._use(number)) for number in range(users)]
        try:
            yield
        finally:
            self._ending = True
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*tasks, return_exceptions=True)
            await stop(*tasks)

    async def more(self, jobs: int) -> None:
        enough = self.done + jobs
        await self._until(lambda: self.done >= enough, f"{jobs} more jobs are done")

    async def drained(self, fleet: Fleet) -> None:
        """Waits until no request to this fleet is open."""
        await self._until(lambda: not self.open[fleet.name], f"no open request to the fleet {fleet.name}")

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Ends at once with what a user has met meanwhile."""

        def so_far() -> bool:
            reached = condition()
            assert reached or not self.faults, self.faults
            return reached

        await eventually(so_far, what, within=2 * PATIENCE, every=0.1)

    async def _use(self, number: int) -> None:
        user = uuid4()
        async with Client(self.fleets[0].url, self.token(uuid4(), "user", "operator")) as operator:
            await operator.post("/credits/grants", {"user_id": str(user), "amount": GRANTED, "source": "test"})
        for turn in count(number):
            if self._ending:
                return
            # A user stays with one fleet for the length of a job, as a balancer with sticky sessions keeps them.
            fleet = self.fleets[turn % len(self.fleets)]
            try:
                self.open[fleet.name] += 1
                async with Client(fleet.url, self.token(user)) as client:
                    collection = await client.post("/projects/collections", {"title": "Tides", "data": two_steps()})
                    accepted = await self._generate(client, collection["id"], fleet)
                    job = await until_ended(client, accepted["job_id"])
                    assert job["status"] == "completed", job
            except Exception as error:  # noqa: BLE001 - whatever a user sees is a fault
                self.faults.append(repr(error))
                return
            finally:
                self.open[fleet.name] -= 1
            self.by_user[user] = self.by_user.get(user, 0) + 1
            self.done += 1

    async def _generate(self, client: Client, collection: str, fleet: Fleet) -> dict[str, Any]:
        """Until generation has consumed a collection's event, release 0.1.0 answers 404, this one 503."""

        async def accepted() -> dict[str, Any]:
            try:
                return await client.post(f"/collections/{collection}/generations", {"generations": GENERATIONS})
            except ApiError as error:
                if error.status != (503 if fleet.name == "new" else 404):
                    raise
                raise NotYet(str(error)) from error

        return await eventually(accepted, f"the fleet {fleet.name} has heard of the collection", every=0.2)


@pytest.fixture
def ground(databases: Callable[..., str], nats_url: str, bucket: Bucket, tmp_path: Path) -> "Scene":
    issuer, jwks = tmp_path / "issuer.jwk", tmp_path / "jwks.json"
    key = ensure_private_key(issuer)
    ensure_private_key(tmp_path / "grants.jwk")
    jwks.write_text(json.dumps(public_jwks(key)))
    databases_by_service = {name: databases() for name in STORES}

    def token(user: UUID, *roles: str) -> str:
        return sign_token(
            key, user=user, roles=roles or ("user",), issuer=DEVELOPMENT_ISSUER, audience=AUDIENCE, ttl=3600
        )[0]

    return Scene(databases_by_service, nats_url, bucket, jwks, tmp_path, token)


@dataclass
class Scene:
    databases: dict[str, str]
    nats_url: str
    bucket: Bucket
    jwks: Path
    folder: Path
    token: Callable[..., str]

    def fleet(self, name: str, code: Path, public_url: str, storage_url: str) -> Fleet:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        ground = Ground(
            self.databases,
            self.nats_url,
            self.bucket,
            self.jwks,
            self.folder / "grants.jwk",
            public_url=public_url,
            storage_url=storage_url,
        )
        return Fleet(name, code, ground, logs)


@pytest.mark.timeout(1800)  # eighteen processes are started one after the other, beside those that are under load
async def test_upgraded_and_rolled_back_under_load(ground: Scene, tmp_path: Path) -> None:
    """Old; old and new; new; new and old; old: every job completes once, and no request gets an error.

    No event is skipped or taken twice, by read tables, consumers, processes and relays, and no table is built again.
    """
    old_code = Path(old_release(tmp_path)["PYTHONPATH"])
    serving: list[Fleet] = []

    def balanced(service: str) -> SilentProxy:
        return SilentProxy(lambda: (LOOPBACK, serving[0].ports[service]))

    with balanced("edge") as edge, balanced("storage") as storage:
        urls = f"http://{edge.address}", f"http://{storage.address}"
        old = ground.fleet("old", old_code, *urls)
        new = ground.fleet("new", ROOT, *urls)
        again = ground.fleet("again", old_code, *urls)
        with stopped_at_the_end(old, new, again):
            load = Load(ground.token, [])

            async def rolled_out(fleet: Fleet, instead_of: Fleet | None) -> None:
                """Beside the other at first, then alone."""
                fleet.start()
                await fleet.until_ready()
                serving.append(fleet)
                load.fleets.append(fleet)
                if instead_of is not None:
                    await load.more(6)
                    load.fleets.remove(instead_of)
                    await load.drained(instead_of)
                    serving.remove(instead_of)
                    await asyncio.to_thread(instead_of.stop)
                    await load.more(4)

            await rolled_out(old, None)
            async with load.running(users=2):
                await load.more(4)
                await rolled_out(new, instead_of=old)
                new_tables = await positions(ground)
                await rolled_out(again, instead_of=new)
            assert not load.faults, load.faults
            for user, jobs in load.by_user.items():
                async with Client(again.url, ground.token(user)) as client:
                    spent = jobs * GENERATIONS * PRICE
                    assert await until_settled(client) == {"available": GRANTED - spent, "held": 0, "spent": spent}
            await assert_published_once_in_order(ground)
        for fleet in (old, new, again):
            assert fleet.entries(level="error") == []
        assert [line for line in old.entries() + again.entries() if line.get("event") == "projection_rebuilds"] == []
        assert [line for line in new.entries() if line.get("event") == "read_table_falls_behind"] == []
        await assert_old_tables_are_right(ground, again)
        await assert_new_tables_are_right(ground, new_tables)


async def positions(ground: Scene) -> dict[str, int]:
    table_positions: dict[str, int] = {}
    for service in STORES:
        async with await psycopg.AsyncConnection.connect(ground.databases[service]) as connection:
            rows = await (await connection.execute("select name, position from read_tables")).fetchall()
            table_positions |= {f"{service} {name}": position for name, position in rows}
    return table_positions


async def _holding(js: JetStreamContext, stream: str, messages: int) -> StreamState:
    """The stream's state, once it holds so many messages."""
    state = (await js.stream_info(stream)).state
    if state.messages < messages:
        raise NotYet(f"{state.messages} of {messages} messages")
    return state


async def assert_published_once_in_order(ground: Scene) -> None:
    client = await nats.connect(ground.nats_url)
    try:
        js = client.jetstream()
        for service in STORES:
            async with await psycopg.AsyncConnection.connect(ground.databases[service]) as connection:
                recorded = await (await connection.execute("select position from events order by position")).fetchall()
            expected = [row[0] for row in recorded]
            state = await eventually(
                lambda: _holding(js, stream_name(service), len(expected)),  # noqa: B023 - this turn's
                f"all events of {service} are published",
                every=0.1,
            )
            published = []
            for sequence in range(state.first_seq, state.last_seq + 1):
                message = await js.get_msg(stream_name(service), sequence)
                published.append(int(str((message.headers or {})[MSG_ID]).rpartition(":")[2]))
            assert published == expected, service
    finally:
        await client.close()


async def assert_old_tables_are_right(ground: Scene, fleet: Fleet) -> None:
    for service in STORES:
        output = await asyncio.to_thread(
            fleet.run, CHECK_OLD_TABLES, SERVICE=service, DATABASE_URL=ground.databases[service]
        )
        assert output
        for line in output.splitlines():
            assert line.split()[1:] == ["0", "0"], f"{service}: {line}"


async def assert_new_tables_are_right(ground: Scene, before: dict[str, int]) -> None:
    """Where they stopped when the new release was taken back, they would go on: nothing was undone meanwhile."""
    after = await positions(ground)
    assert after.keys() == before.keys()
    assert all(after[name] >= before[name] for name in before)
    for service in STORES:
        definition = definition_of(service)
        async with EventStore.open(ground.databases[service], definition.codec()) as store:
            for projection in definition.projections:
                assert (await rebuild(store, projection, swap=False)).same, projection.table
