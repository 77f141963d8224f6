"""What a process loads: a library that it never uses costs it time at its start, and memory for as long as it runs."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

DATABASE = {"eventsourcing", "psycopg", "yoyo"}
RENDERING = {"PIL", "numpy"}
WEB = {"litestar", "uvicorn"}
NEVER = {"faststream", "pydantic", "testcontainers"}

UNUSED = {
    "services.edge.__main__": DATABASE | RENDERING | NEVER | {"minio", "nats"},
    "services.collections.__main__": RENDERING | NEVER | {"minio"},
    "services.generation.app": RENDERING | NEVER | {"minio"},
    "services.credits.__main__": RENDERING | NEVER | {"minio"},
    "services.storage.__main__": RENDERING | NEVER,
    "workers.kit.worker": DATABASE | WEB | RENDERING | NEVER | {"minio"},
    "workers.studio.run": DATABASE | WEB | NEVER | {"minio"},
    "workers.studio.rendering": DATABASE | WEB | NEVER | {"aiohttp", "minio", "nats", "structlog"},
    "infra.cli.main": DATABASE | WEB | RENDERING | NEVER | {"aiohttp", "minio", "nats"},
    "infra.cli.status": DATABASE | WEB | RENDERING | NEVER | {"aiohttp", "minio", "nats"},
    "infra.embedded.up": DATABASE | WEB | RENDERING | NEVER | {"aiohttp", "minio", "nats"},
}
LOADED = (
    "import importlib, sys; importlib.import_module(sys.argv[1]); print(*{m.partition('.')[0] for m in sys.modules})"
)
LAZY = ("shared.eventstore", "shared.http", "shared.messaging", "shared.runtime", "shared.telemetry", "workers.kit")


@pytest.mark.parametrize("module", UNUSED)
def test_a_process_loads_no_library_that_it_does_not_use(module: str) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, module], capture_output=True, text=True, check=True)
    assert not UNUSED[module] & set(ran.stdout.split())


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_lazy_package_can_be_imported(package: str) -> None:
    """And none is that of a module, which would be found instead once that is imported."""
    loaded = importlib.import_module(package)
    modules = {module.name for module in pkgutil.iter_modules(loaded.__path__)}
    assert not modules & set(loaded.__all__)
    assert all(getattr(loaded, name) is not None for name in loaded.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = loaded.nothing
