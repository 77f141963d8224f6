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
MAX_CLIENT_MESSAGE = 64 * 1024
"""Bytes of a message on a WebSocket; what clients send there is ignored."""
GRACE = 5
"""Seconds for which a stopping edge waits for open requests; then it aborts open streams, and clients reconnect."""


def allow_many_streams() -> None:
    """Raises the soft limit of open files to OPEN_FILES, or to the hard limit if that is lower.

    An open stream takes two files, and a usual soft limit is 1024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
            ws="websockets-sansio",
            ws_max_size=MAX_CLIENT_MESSAGE,
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
