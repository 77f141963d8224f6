"""The servers that the tests run on, from one of three sources: `EMPROPS_TEST_SERVERS`.

- `embedded` (default): child processes, from the wheels.
- `testcontainers`: official images, on Docker.
- `urls`: servers that already run: DATABASE_URL (may create databases), NATS_URL, S3_ENDPOINT, S3_ACCESS_KEY,
  S3_SECRET_KEY. All NATS streams are deleted between tests: the servers must hold nothing else.

Each server starts when the first test needs it, and runs until the session ends.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import nats
import psutil
import psycopg
from minio import Minio
from psycopg import sql

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import NatsUser
from infra.embedded.ports import PortPicker
from infra.embedded.postgres import PostgresServer
from infra.embedded.process import running
from infra.embedded.seaweedfs import PORTS, SeaweedServer, s3_client

SOURCE = "EMPROPS_TEST_SERVERS"
MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 3 * 1024**3
"""Bytes that must be free there. A cluster takes some 300 MB, so a test process per core fits with room to spare."""


@dataclass(frozen=True)
class S3:
    endpoint: str
    """http://host:port"""
    access_key: str
    secret_key: str

    def client(self) -> Minio:
        return s3_client(self.endpoint, self.access_key, self.secret_key)

    def settings(self, bucket: str) -> dict[str, str]:
        """The environment of a service that uses `bucket`."""
        names = ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET")
        return dict(zip(names, (self.endpoint, self.access_key, self.secret_key, bucket), strict=True))


@dataclass(frozen=True)
class Bucket:
    """An empty S3 bucket for one test."""

    s3: S3
    name: str

    def client(self) -> Minio:
        return self.s3.client()

    def settings(self) -> dict[str, str]:
        return self.s3.settings(self.name)


class Servers:
    """Servers that are started on first use, by functions of the source, and stopped by `close`."""

    def __init__(
        self,
        postgres: Callable[["Servers"], str],
        nats_server: Callable[["Servers"], str],
        s3: Callable[["Servers"], S3],
    ) -> None:
        self._start_postgres, self._start_nats, self._start_s3 = postgres, nats_server, s3
        self._templates: dict[str, str] = {}
        self.stack = contextlib.ExitStack()
        self.private_nats = nats_server is _embedded_nats
        """Whether each test gets its own server; otherwise a shared one is emptied between tests."""

    @cached_property
    def directory(self) -> Path:
        """A temporary folder for the session."""
        path = Path(tempfile.mkdtemp(prefix="emprops-tests-"))
        self.stack.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    @cached_property
    def fast_directory(self) -> Path:
        """A temporary folder for files that are made and removed often: in memory, where there is enough of it."""
        if not (MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY):
            return self.directory
        _remove_abandoned(MEMORY)
        path = Path(tempfile.mkdtemp(prefix=f"emprops-tests-of-{os.getpid()}-", dir=MEMORY))
        self.stack.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    @cached_property
    def ports(self) -> PortPicker:
        return PortPicker()

    @cached_property
    def postgres_dsn(self) -> str:
        """Of a superuser, or of a role that may create databases."""
        return self._start_postgres(self)

    @cached_property
    def nats_url(self) -> str:
        """Of a user who may do everything."""
        return self._start_nats(self)

    @cached_property
    def s3(self) -> S3:
        return self._start_s3(self)

    def close(self) -> None:
        self.stack.close()

    def create_database(self, template: str = "template1", *, prefix: str = "test") -> str:
        """The DSN of a fresh database, a copy of `template`: of its files, which takes half the time of its WAL."""
        name = f"{prefix}_{secrets.token_hex(6)}"
        with psycopg.connect(self.postgres_dsn, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return urlunsplit(urlsplit(self.postgres_dsn)._replace(path=f"/{name}"))

    def drop_database(self, dsn: str) -> None:
        """Drop it, and end its connections."""
        name = sql.Identifier(urlsplit(dsn).path.lstrip("/"))
        with psycopg.connect(self.postgres_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """The name of a template database that `fill(dsn)` fills once per session, such as with migrations."""
        if name not in self._templates:
            dsn = self.create_database(prefix=f"template_{name}")
            fill(dsn)
            self._templates[name] = urlsplit(dsn).path.lstrip("/")
            self.stack.callback(self.drop_database, dsn)
        return self._templates[name]

    @contextlib.contextmanager
    def start_nats(self, users: Mapping[str, NatsUser] | None = None) -> Iterator[NatsServer]:
        """A nats-server for one test, with `users`, or with a user `test` that has all permissions."""
        directory = Path(tempfile.mkdtemp(prefix="nats-", dir=self.fast_directory))
        port = PortPicker().pick("nats")
        server = NatsServer(directory, port, users or {"test": NatsUser(secrets.token_hex(16))})
        with running(server.process(), directory):
            yield server
        shutil.rmtree(directory, ignore_errors=True)


def start_servers(environment: Mapping[str, str] = os.environ) -> Servers:
    """The servers of the source that `environment` names. Raises `ValueError` for an unknown source."""
    source = environment.get(SOURCE, "embedded")
    match source:
        case "embedded":
            return Servers(_embedded_postgres, _embedded_nats, _embedded_s3)
        case "testcontainers":
            from tests.support import containers  # noqa: PLC0415 - needs Docker

            return Servers(
                lambda servers: containers.start_postgres(servers.stack),
                lambda servers: containers.start_nats(servers.stack),
                lambda servers: S3(*containers.start_s3(servers.stack)),
            )
        case "urls":
            return _from_urls(environment)
        case _:
            raise ValueError(f"{SOURCE} is {source!r}; it must be embedded, testcontainers or urls")


def _remove_abandoned(memory: Path) -> None:
    """Frees what test processes that were killed have left there."""
    for path in memory.glob("emprops-tests-of-*"):
        if not psutil.pid_exists(int(path.name.split("-")[3])):
            shutil.rmtree(path, ignore_errors=True)


async def delete_streams(url: str) -> None:
    """Empty a shared NATS server."""
    client: Any = await nats.connect(url)
    try:
        stream_manager = client.jetstream()
        for stream in await stream_manager.streams_info():
            await stream_manager.delete_stream(stream.config.name)
    finally:
        await client.close()


def _embedded_postgres(servers: Servers) -> str:
    # Without fsync, since test data may be lost in a power failure: CREATE DATABASE is many times faster.
    server = PostgresServer(
        servers.fast_directory / "postgres", servers.ports.pick("postgres"), secrets.token_hex(16), fsync=False
    )
    servers.stack.enter_context(running(server.process(), servers.directory))
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        # Each test logs in dozens of times, and would hash the password 4,096 times in each of them.
        connection.execute("SET scram_iterations = 1")
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(server.password))
    return server.dsn()


def _embedded_nats(servers: Servers) -> str:
    return servers.stack.enter_context(servers.start_nats()).url("test")


def _embedded_s3(servers: Servers) -> S3:
    server = SeaweedServer(
        directory=servers.directory / "s3",
        ports={name: servers.ports.pick(name) for name in PORTS},
        access_key=secrets.token_hex(8),
        secret_key=secrets.token_hex(20),
        internal_key=secrets.token_hex(20),
    )
    servers.stack.enter_context(running(server.process(), servers.directory))
    return S3(server.endpoint, server.access_key, server.secret_key)


def _from_urls(environment: Mapping[str, str]) -> Servers:
    def setting(name: str) -> str:
        if not environment.get(name):
            raise ValueError(f"{SOURCE}=urls needs {name}")
        return environment[name]

    return Servers(
        lambda _: setting("DATABASE_URL"),
        lambda _: setting("NATS_URL"),
        lambda _: S3(setting("S3_ENDPOINT"), setting("S3_ACCESS_KEY"), setting("S3_SECRET_KEY")),
    )
