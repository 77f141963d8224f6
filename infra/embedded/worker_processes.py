"""The workers of a set: those that it runs itself, and the settings of workers that users start."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import HTTP_API_USER
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.process import ProcessSpec
from infra.embedded.python_process import python_process
from infra.embedded.set_file import SetFile, write_private

COMFY_WORKER = "comfy"
WORKERS = "workers"
"""The folder of settings for workers that users start."""


def running_workers(
    file: SetFile, data: Path, ports: PortPicker, nats: NatsServer, comfy_urls: str
) -> Iterator[ProcessSpec]:
    """The workers that run from the start: those of the built-in workflows, and that of the ComfyUI servers."""
    for number in range(1, file.replicas + 1):
        name = f"worker-{number}"
        yield _worker(file, data, name, "workers.studio", ports.pick(name), nats.url("worker"))
    if comfy_urls:
        name, settings = f"{COMFY_WORKER}-1", {"COMFY_URLS": comfy_urls}
        yield _worker(file, data, name, "workers.comfy", ports.pick(name), nats.url(COMFY_WORKER), settings)


def http_workers(file: SetFile, data: Path, ports: PortPicker, nats: NatsServer) -> tuple[ProcessSpec, ...]:
    """The workers that call APIs, which start when they are wanted."""
    settings = {"EMPROPS_PRIVATE_HOSTS": os.environ.get("EMPROPS_PRIVATE_HOSTS", "")}
    return tuple(
        _worker(file, data, name, "workers.http_api", ports.pick(name), nats.url(HTTP_API_USER), settings)
        for name in (f"{HTTP_API_USER}-{number}" for number in range(1, file.replicas + 1))
    )


def _worker(
    file: SetFile,
    data: Path,
    name: str,
    module: str,
    port: int,
    nats_url: str,
    own: Mapping[str, str] | None = None,
) -> ProcessSpec:
    environment = {
        **_worker_settings(file, nats_url),
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(port),
        "SERVICE_INSTANCE": name,
        **(own or {}),
    }
    return python_process(name, (module,), environment, data, port)


def _worker_settings(file: SetFile, nats_url: str) -> dict[str, str]:
    edges = ",".join(file.services["edge"].urls)
    return {"NATS_URL": nats_url, "PUBLIC_URL": file.public_url or file.url, "API_URLS": edges}


def write_worker_settings(file: SetFile, path: Path, nats_url: str) -> None:
    """Writes the settings that a worker needs to connect, readable by the set's user only."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    settings = _worker_settings(file, nats_url)
    write_private(path, "".join(f"{name}={value}\n" for name, value in settings.items()).encode())
