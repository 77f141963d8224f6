"""The servers as containers of the official images, for the `testcontainers` source."""

import secrets
from contextlib import ExitStack

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

NATS_PORT = 4222
NATS_CONFIGURATION = f"port: {NATS_PORT}, jetstream: enabled, max_payload: 8MB"
S3_PORT = 8333


def start_postgres(stack: ExitStack) -> str:
    """The DSN of its superuser."""
    container = stack.enter_context(PostgresContainer("postgres:18-alpine", driver=None))
    return str(container.get_connection_url())


def start_nats(stack: ExitStack) -> str:
    """The URL of a server with JetStream."""
    # max_payload can be set in a configuration file only.
    script = f"echo '{NATS_CONFIGURATION}' >/tmp/nats.conf && exec nats-server -c /tmp/nats.conf"
    container = (
        DockerContainer("nats:2-alpine")
        .with_command(["sh", "-c", script])
        .with_exposed_ports(NATS_PORT)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    stack.enter_context(container)
    return f"nats://{container.get_container_host_ip()}:{container.get_exposed_port(NATS_PORT)}"


def start_s3(stack: ExitStack) -> tuple[str, str, str]:
    """Endpoint, access key and secret key of a SeaweedFS, the store that the embedded set has too."""
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(20)
    container = (
        DockerContainer("chrislusf/seaweedfs")
        .with_env("AWS_ACCESS_KEY_ID", access_key)
        .with_env("AWS_SECRET_ACCESS_KEY", secret_key)
        .with_command(f"server -s3 -s3.port={S3_PORT} -volume.max=0 -master.telemetry=false")
        .with_exposed_ports(S3_PORT)
        .waiting_for(HttpWaitStrategy(S3_PORT, "/healthz").for_status_code(200))
    )
    stack.enter_context(container)
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(S3_PORT)}", access_key, secret_key
