"""A process of the set that runs a module of this project, with probes on a port."""

import sys
from collections.abc import Mapping
from pathlib import Path

from infra.embedded.ports import LOOPBACK
from infra.embedded.probes import probe_http
from infra.embedded.process import ProcessSpec

PROBE_SECONDS = 5.0


def python_process(
    name: str, module: tuple[str, ...], environment: Mapping[str, str], data: Path, port: int
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        # -P: modules are not imported from the working directory.
        command=(sys.executable, "-P", "-m", *module),
        environment={"PYTHONUNBUFFERED": "1", **environment},
        ready=lambda: check_ready(port),
        cwd=data,
        is_held=True,
        is_preloaded=module[-1] == "serve",
        url=f"http://{LOOPBACK}:{port}",
        tells_health=True,
    )


def check_ready(port: int) -> None:
    """Raises `OSError` unless `/health/ready` answers 200."""
    probe_http(f"http://{LOOPBACK}:{port}", "/health/ready", PROBE_SECONDS)
