"""`python -m services.edge serve`."""

import argparse
import resource
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from services.edge.app import create
from services.edge.settings import EdgeSettings
from shared.garbage_collection import collect_for_serving
from shared.http.coalesced_writes import HttpProtocol
from shared.http.server import Server
from shared.runtime.delayed_start import wait_for_start
from shared.runtime.settings import SettingsError, from_environment
from shared.telemetry import configure_logging
from shared.telemetry.tracing import setup_tracing

OPEN_FILES = 65536
GRACE = 5
"""Seconds that open requests get to end when the edge stops; open streams are cut then, and clients reconnect."""


def allow_many_streams() -> None:
    """Raises this process's limit of open files as far as it may: an open stream takes two, a usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def serve(settings: EdgeSettings) -> None:
    """Serves until SIGTERM or SIGINT."""
    configure_logging(service="edge", instance=settings.service_instance, level=settings.log_level)
    allow_many_streams()
    tracing = setup_tracing(service="edge", instance=settings.service_instance)
    collect_for_serving()
    try:
        config = uvicorn.Config(
            create(settings),
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http=HttpProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = Server(config)
        server.run()
        if not server.started:
            sys.exit(STARTUP_FAILURE)
    finally:
        if tracing is not None:
            tracing.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.edge")
    parser.add_argument("command", choices=["serve"], help="serve: run the edge until SIGTERM")
    parser.parse_args()
    try:
        settings = from_environment(EdgeSettings)
    except SettingsError as error:
        raise SystemExit(f"edge: {error}") from error
    wait_for_start()
    serve(settings)


if __name__ == "__main__":
    main()
