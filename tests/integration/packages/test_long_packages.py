"""Packages that take long: continued by another replica, cancelled, fair among users, bounded; never parked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.storage.deciders import PACKAGE
from services.storage.domain.package import package_stream
from services.storage.packaging import builder, meter
from services.storage.packaging.package_file import PackageFiles
from services.storage.providers.s3.kept_upload import S3KeptUpload
from shared.content.package import Contents
from shared.contracts.collections import PackageCancelRequested, PackageRequested
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageProgressed, PackageStopped, PackageStored
from tests.integration.packages.test_building import ask, request, uploaded
from tests.support.apps.client import BOB
from tests.support.apps.storage import Api, storage_service
from tests.support.patience import eventually
from tests.support.publishing import Publisher
from tests.support.servers import Bucket
from tests.unit.content.contents import MIB, content, pieces
from tests.unit.content.package_file import contents

SIZE = 80 * MIB
PARTS = 2
"""Parts of an upload that reach the store before the gate is opened."""


class Gate:
    """Lets two parts of each upload pass; the others wait until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open = asyncio.Event()
        self.sent = 0
        self.uploads: list[S3KeptUpload] = []
        send, resume = S3KeptUpload._transfer, S3KeptUpload.resume

        async def gated(upload: S3KeptUpload, number: int, data: bytes) -> Any:
            if number > PARTS:
                await self.is_open.wait()
            part = await send(upload, number, data)
            self.sent += 1
            return part

        async def noted(upload: S3KeptUpload, upload_id: str) -> None:
            self.uploads.append(upload)
            await resume(upload, upload_id)

        monkeypatch.setattr(S3KeptUpload, "_transfer", gated)
        monkeypatch.setattr(S3KeptUpload, "resume", noted)

    async def until_stuck(self) -> None:
        async def are_sent() -> bool:
            return self.sent >= PARTS

        await eventually(are_sent, "two parts to be stored")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr(builder, "LOOK_EVERY", 0.2)
    return Gate(monkeypatch)


async def large(api: Api) -> Contents:
    """What a package of one large artwork is made of."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces(SIZE, 5):
            yield piece

    asset = (await api.upload(body(), "large.png")).data
    inputs = contents([b"x"])
    sizes = {name: asset[name] for name in ("size", "sha256", "cid")}
    artwork = msgspec.structs.replace(inputs.artworks[0], asset_id=asset["id"], source=asset["path"], **sizes)
    return msgspec.structs.replace(inputs, artworks=[artwork])


async def outcome(api: Api, attempt: PackageRequested) -> Any:
    """The attempt's outcome, once it has one."""

    async def look() -> Any:
        return (
            await api.runtime.store.load(PACKAGE, package_stream(attempt.package_id, attempt.attempt))
        ).state.outcome

    return await eventually(look, "the attempt to end")


async def upload_ids(api: Api) -> list[str]:
    rows = await api.runtime.store.pool.rows("select upload_id from package_builds where upload_id is not null", ())
    return [row[0] for row in rows]


def packages(api: Api) -> list[str]:
    return [path for path in api.objects() if path.startswith("packages/")]


async def test_another_replica_continues_a_package_and_sends_only_what_is_missing(
    databases: Callable[..., str], nats_url: str, bucket: Bucket, tmp_path: Path, asking: Publisher, gate: Gate
):
    """Both run when the first one, which builds, ends in the midst of it."""
    start = partial(storage_service, databases(), nats_url, bucket, tmp_path)
    async with contextlib.AsyncExitStack() as of_first:
        first = await of_first.enter_async_context(start(service_instance="first"))
        inputs = await large(first)
        attempt = request(inputs)
        await ask(asking, attempt, inputs)
        await gate.until_stuck()
        async with start(service_instance="second") as second:
            assert packages(first) == [], "an unfinished file is not visible"
            await of_first.aclose()
            gate.is_open.set()
            stored = await outcome(second, attempt)
            assert isinstance(stored, PackageStored), stored
            assert [upload.reused for upload in gate.uploads] == [PARTS]
            asset = (await second.get(f"/assets/{stored.asset_id}")).data
            assert (asset["size"], asset["sha256"]) == (stored.size, stored.sha256)
            again = request(inputs)
            await ask(asking, again, inputs)
            same = await outcome(second, again)
            assert isinstance(same, PackageStored)
            assert (same.root, same.sha256) == (stored.root, stored.sha256), "as one that was built at once"


async def test_a_cancelled_package_leaves_nothing(storage: Api, asking: Publisher, gate: Gate):
    inputs = await large(storage)
    attempt, waiting = request(inputs), request(inputs)
    await ask(asking, attempt, inputs)
    await gate.until_stuck()
    [upload_id] = await upload_ids(storage)
    await ask(asking, waiting, inputs)
    await asking.publish(waiting.package_id, PackageCancelRequested(waiting.package_id, 1))
    assert await outcome(storage, waiting) == PackageStopped(waiting.package_id, 1), "before its turn"
    await asking.publish(attempt.package_id, PackageCancelRequested(attempt.package_id, 1))
    assert await storage.runtime.history.first_behind(["collections"], 10) is None
    gate.is_open.set()
    assert await outcome(storage, attempt) == PackageStopped(attempt.package_id, 1)

    async def is_forgotten() -> bool:
        return not await storage.runtime.store.pool.rows("select 1 from package_builds", ())

    await eventually(is_forgotten, "the builds to be forgotten")
    assert packages(storage) == []
    upload = storage.part("objects").kept_upload(f"packages/{attempt.user_id}/x", "x", lambda _: asyncio.sleep(0))
    await upload.resume(upload_id)
    assert upload._upload_id is None, "the store has deleted its parts"
    await asking.publish(attempt.package_id, PackageCancelRequested(attempt.package_id, 1))
    assert await outcome(storage, attempt) == PackageStopped(attempt.package_id, 1)


async def test_a_later_attempt_stops_the_earlier_one(storage: Api, asking: Publisher, gate: Gate):
    inputs = await large(storage)
    first = request(inputs)
    second = msgspec.structs.replace(first, attempt=2)
    await ask(asking, first, inputs)
    await gate.until_stuck()
    await ask(asking, second, inputs)
    assert await storage.runtime.history.first_behind(["collections"], 10) is None
    gate.is_open.set()
    assert isinstance(await outcome(storage, first), PackageStopped)
    assert isinstance(await outcome(storage, second), PackageStored)


async def test_a_long_package_holds_up_neither_others_nor_the_consumer(storage: Api, asking: Publisher, gate: Gate):
    inputs = await large(storage)
    attempt = request(inputs)
    await ask(asking, attempt, inputs)
    await gate.until_stuck()
    short = contents([content(1000, 1)])
    grant = storage.grant(BOB, short.job_id, collection_id=str(short.collection_id))
    asset = (await storage.upload(content(1000, 1), "1.png", grant)).data
    artwork = msgspec.structs.replace(short.artworks[0], asset_id=asset["id"], source=asset["path"])
    short = msgspec.structs.replace(short, artworks=[artwork])
    other = request(short, user=BOB)
    await ask(asking, other, short)
    assert isinstance(await outcome(storage, other), PackageStored)
    gate.is_open.set()
    assert isinstance(await outcome(storage, attempt), PackageStored)


async def test_progress_is_recorded_while_it_is_built(storage: Api, asking: Publisher, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(meter, "NOTE_EVERY", 0.0)
    inputs = await uploaded(storage, [content(3 * MIB, 1), content(2 * MIB, 2), b"x"])
    attempt = request(inputs)
    await ask(asking, attempt, inputs)
    assert isinstance(await outcome(storage, attempt), PackageStored)
    history = await storage.runtime.store.read_stream(package_stream(attempt.package_id, 1))
    noted = [recorded.event for recorded in history if isinstance(recorded.event, PackageProgressed)]
    assert [event.phase for event in noted] == sorted(event.phase for event in noted)
    writing = [event for event in noted if event.phase == "writing"]
    assert [event.bytes for event in writing] == sorted(event.bytes for event in writing)
    assert writing[-1].bytes == writing[-1].size > 5 * MIB
    assert {event.of for event in writing} == {len(inputs.documents) + len(inputs.artworks) + 1}


async def test_what_is_too_large_is_refused_before_it_is_built(
    database: str, nats_url: str, bucket: Bucket, tmp_path: Path, asking: Publisher
):
    async with storage_service(database, nats_url, bucket, tmp_path, package_max_bytes=100_000) as api:
        inputs = await uploaded(api, [content(100_001, 1)])
        attempt = request(inputs)
        await ask(asking, attempt, inputs)
        failed = await outcome(api, attempt)
        assert isinstance(failed, PackageFailed)
        assert (failed.code, "a package may have 100000" in failed.reason) == ("PACKAGE_TOO_LARGE", True)
        assert await api.runtime.store.pool.rows("select 1 from package_builds", ()) == []
        file = content(100_000 - sum(len(document.text) for document in inputs.documents), 2)
        asset = (await api.upload(file, "other.png")).data
        nearly = contents([file])
        artwork = msgspec.structs.replace(nearly.artworks[0], asset_id=asset["id"], source=asset["path"])
        nearly = msgspec.structs.replace(nearly, artworks=[artwork])
        attempt = request(nearly)
        await ask(asking, attempt, nearly)
        failed = await outcome(api, attempt)
        assert isinstance(failed, PackageFailed)
        assert failed.code == "PACKAGE_TOO_LARGE", "with the manifest, which is known when it is built"
        assert packages(api) == []


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (Problem("UNAVAILABLE", "The file store can't be reached"), 12),
        (RuntimeError("a bug"), 3),
        (RuntimeError("a bug"), 99),
    ],
    ids=["an outage", "a fault that passes", "a fault that stays"],
)
async def test_a_build_that_fails_is_tried_again(
    storage: Api, asking: Publisher, monkeypatch: pytest.MonkeyPatch, error: Exception, failures: int
):
    monkeypatch.setattr(builder, "POSTPONED_SECONDS", 0.0)
    monkeypatch.setattr(builder, "LOOK_EVERY", 0.05)
    build, tries = PackageFiles.build, 0

    async def failing(files: PackageFiles, *arguments: Any) -> PackageStored:
        nonlocal tries
        tries += 1
        if tries <= failures:
            raise error
        return await build(files, *arguments)

    monkeypatch.setattr(PackageFiles, "build", failing)
    inputs = await uploaded(storage, [content(1000, 1)])
    attempt = request(inputs)
    await ask(asking, attempt, inputs)
    end = await outcome(storage, attempt)
    if failures < 99:
        assert isinstance(end, PackageStored), end
        assert tries == failures + 1
    else:
        assert isinstance(end, PackageFailed), end
        assert (end.code, tries) == ("INTERNAL_ERROR", builder.MAX_FAILURES)


async def test_a_build_that_ends_its_process_again_and_again_fails(
    storage: Api, asking: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(builder, "MAX_STARTS", 0)
    inputs = await uploaded(storage, [content(1000, 1)])
    attempt = request(inputs)
    await ask(asking, attempt, inputs)
    failed = await outcome(storage, attempt)
    assert isinstance(failed, PackageFailed)
    assert failed.code == "INTERNAL_ERROR"
