"""ComfyUI servers to run the worker on: the stand-in, and a real one too where COMFY_DIR says where it is."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.comfy.real import RealComfy, comfy_dir, kinds
from tests.support.comfy.standin import StandIn, stand_in
from workers.comfy.run import comfy as comfy_worker
from workers.comfy.settings import ComfySettings
from workers.kit.testing import WorkerTest

Runs = Callable[..., contextlib.AbstractAsyncContextManager[WorkerTest]]


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealComfy]:
    code = comfy_dir()
    assert code is not None
    started = RealComfy(code, tmp_path_factory.mktemp("comfyui")).start()
    yield started
    started.stop()


@pytest_asyncio.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        yield server


@pytest.fixture(params=kinds())
def comfy(request: pytest.FixtureRequest) -> Any:
    """A server; both kinds have `url` and `is_real`."""
    return request.getfixturevalue("real" if request.param == "real" else "standin")


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@contextlib.asynccontextmanager
async def worker_for(*urls: str, patience: float = 0.0, **settings: Any) -> AsyncIterator[WorkerTest]:
    """The worker for these servers, without NATS. `patience`: see `WorkerTest`."""
    configuration = ComfySettings(nats_url="nats://none", comfy_urls=",".join(urls), **settings)
    async with WorkerTest(comfy_worker(configuration), patience=patience) as test:
        yield test
