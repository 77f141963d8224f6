"""The servers that benchmarks run on: as `emprops up` starts them, with fsync on, in a folder that goes afterwards."""

import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import NatsUser
from infra.embedded.plan import make_plan
from infra.embedded.ports import PortPicker
from infra.embedded.postgres import PostgresServer
from infra.embedded.process import running
from infra.embedded.set_file import LOGS, Secrets, load_set
from infra.embedded.supervisor import Supervisor


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="emprops-bench-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(directory / "postgres", PortPicker().pick("postgres"), secrets.token_hex(16))
    with running(server.process(), directory):
        yield server


@contextlib.contextmanager
def nats(directory: Path) -> Iterator[str]:
    """The URL of a user who may do everything."""
    server = NatsServer(directory / "nats", PortPicker().pick("nats"), {"bench": NatsUser(secrets.token_hex(16))})
    with running(server.process(), directory):
        yield server.url("bench")


@contextlib.asynccontextmanager
async def of_set(data: Path) -> AsyncIterator[None]:
    """The three servers of a set that is stopped, without its services."""
    ports = PortPicker(load_set(data).ports)
    plan = make_plan(data, ports, Secrets(data), public_port=ports.pick("edge-1"), replicas=1)
    supervisor = Supervisor(data / LOGS, plan.stages[:1], say=lambda _line: None)
    try:
        await supervisor.start()
        yield
    finally:
        await supervisor.stop()


def database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
        connection.execute(f"create database {name}".encode())
    return server.dsn(name)
