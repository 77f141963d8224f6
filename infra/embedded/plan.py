"""The processes of a set, with their addresses and settings."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.keys import (
    AUDIENCE,
    DEVELOPMENT_ISSUER,
    ensure_private_key,
    ensure_secrets_key,
    public_jwks,
    retired_jwks,
    retired_keys,
)
from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import COMFY, HTTP_API_USER, service_users
from infra.embedded.nats_users import HTTP_API as HTTP_API_KINDS
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.postgres import PostgresServer, create_databases
from infra.embedded.process import ProcessSpec
from infra.embedded.python_process import python_process
from infra.embedded.seaweedfs import PORTS, SeaweedServer
from infra.embedded.set_file import S3Info, Secrets, ServiceInfo, SetFile, write_private
from infra.embedded.supervisor import Stage
from infra.embedded.wanted import FOLDER as WANTED
from infra.embedded.wanted import HTTP_API, is_wanted
from infra.embedded.worker_processes import COMFY_WORKER, WORKERS, http_workers, running_workers, write_worker_settings

SERVICES = ("collections", "generation", "credits", "storage", "edge")
BUCKET = "emprops"
KEYS = "keys"
PRELOADED = (
    "shared.runtime.serve",
    *(f"services.{name}.{part}" for name in SERVICES if name != "edge" for part in ("app", "settings")),
    "services.edge.app",
    "shared.http.server",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""Modules that the fork server imports before it forks services."""


@dataclass(frozen=True)
class Plan:
    stages: list[Stage]
    file: SetFile


@dataclass(frozen=True)
class Keys:
    issuer: Path
    jwks: Path
    grants: Path
    secrets: Path


@dataclass(frozen=True)
class Servers:
    postgres: PostgresServer
    nats: NatsServer
    seaweed: SeaweedServer


def make_plan(
    data: Path,
    ports: PortPicker,
    passwords: Secrets,
    *,
    public_port: int,
    replicas: int,
    workers: Mapping[str, Sequence[str]] | None = None,
    comfy_urls: str = "",
    public_url: str = "",
) -> Plan:
    """The whole set in `data` (an absolute path), with `replicas` processes of each service; writes its key files.

    `public_port` is the port of `edge-1`; `ports` picks all others. `workers`: by name, the kinds of work of workers
    that users start; `workers/NAME.env` gets the settings that such a worker needs. With `comfy_urls`, there
    is a worker for these ComfyUI servers: one process, which knows how busy they are. `public_url`: where others reach
    the edge. Raises `NoFreePortError`.
    """
    keys = _ensure_keys(data / KEYS)
    workers = workers or {}
    with_comfy = {**workers, COMFY_WORKER: COMFY} if comfy_urls else workers
    servers = _plan_servers(data, ports, passwords, with_comfy)
    service_ports = {
        name: [public_port if (name, n) == ("edge", 1) else ports.pick(f"{name}-{n}") for n in range(1, replicas + 1)]
        for name in SERVICES
    }
    services = {
        name: ServiceInfo(
            urls=[f"http://{LOOPBACK}:{port}" for port in service_ports[name]],
            database_url=servers.postgres.dsn(name, user=name, password=passwords.get(f"database/{name}")),
            nats_url=servers.nats.url(name),
        )
        for name in SERVICES
    }
    file = _set_file(servers, services, keys, passwords, replicas)
    file.public_url = public_url
    processes = [
        _service(file, data, name, number, port)
        for name in SERVICES
        for number, port in enumerate(service_ports[name], start=1)
    ]
    processes += running_workers(file, data, ports, servers.nats, comfy_urls)
    http_apis = http_workers(file, data, ports, servers.nats)
    for name in workers:
        write_worker_settings(file, data / WORKERS / f"{name}.env", servers.nats.url(name))
    file.ports = dict(ports.picked)
    database_passwords = {name: passwords.get(f"database/{name}") for name in SERVICES}
    stages = [
        Stage(
            (servers.postgres.process(), servers.nats.process()),
            then=lambda: create_databases(servers.postgres.dsn(), database_passwords),
        ),
        # Takes seconds to start. Only storage needs it, waits for it and makes the bucket; so nothing waits here.
        Stage((servers.seaweed.process(),), is_ahead=True, is_beside=True),
        Stage(tuple(processes), is_ahead=True),
        Stage(http_apis, wanted=lambda: is_wanted(data, HTTP_API)),
    ]
    return Plan(stages, file)


def _set_file(
    servers: Servers, services: dict[str, ServiceInfo], keys: Keys, passwords: Secrets, replicas: int
) -> SetFile:
    """The file from which commands learn about the running set, still without `ports`."""
    return SetFile(
        url=services["edge"].urls[0],
        pid=os.getpid(),
        replicas=replicas,
        issuer=DEVELOPMENT_ISSUER,
        audience=AUDIENCE,
        development_user=passwords.user(),
        issuer_key_file=str(keys.issuer),
        jwks_file=str(keys.jwks),
        grant_key_file=str(keys.grants),
        secrets_key_file=str(keys.secrets),
        postgres_url=servers.postgres.dsn(),
        nats_url=servers.nats.url("operator"),
        s3=S3Info(
            endpoint=servers.seaweed.endpoint,
            access_key=servers.seaweed.access_key,
            secret_key=servers.seaweed.secret_key,
            bucket=BUCKET,
        ),
        services=services,
        ports={},
    )


def _ensure_keys(folder: Path) -> Keys:
    keys = Keys(folder / "issuer.jwk", folder / "jwks.json", folder / "grants.jwk", folder / "secrets.key")
    ensure_secrets_key(keys.secrets)
    issuer = ensure_private_key(keys.issuer)
    ensure_private_key(keys.grants)
    write_private(keys.jwks, json.dumps(public_jwks(issuer, *retired_keys(keys.issuer))).encode())
    return keys


def _plan_servers(data: Path, ports: PortPicker, passwords: Secrets, workers: Mapping[str, Sequence[str]]) -> Servers:
    names = (*SERVICES, "worker", HTTP_API_USER, "operator", *workers)
    users = service_users(
        {name: passwords.get(f"nats/{name}") for name in names}, {HTTP_API_USER: HTTP_API_KINDS, **workers}
    )
    return Servers(
        PostgresServer(data / "postgres", ports.pick("postgres"), passwords.get("postgres")),
        NatsServer(data / "nats", ports.pick("nats"), users),
        SeaweedServer(
            data / "s3",
            {name: ports.pick(name) for name in PORTS},
            access_key=passwords.get("s3/access"),
            secret_key=passwords.get("s3/secret"),
            internal_key=passwords.get("s3/internal"),
        ),
    )


def _service(file: SetFile, data: Path, name: str, number: int, port: int) -> ProcessSpec:
    info = file.services[name]
    environment = {
        "DATABASE_URL": info.database_url,
        "NATS_URL": info.nats_url,
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(port),
        "PUBLIC_URL": file.public_url or file.url,
        "AUTH_JWKS_URL": _jwks(file, "edge"),
        "AUTH_ISSUER": file.issuer,
        "AUTH_AUDIENCE": file.audience,
        "SERVICE_INSTANCE": f"{name}-{number}",
        **(own(file, number) if (own := _OWN_SETTINGS.get(name)) else {}),
    }
    return python_process(f"{name}-{number}", (f"services.{name}", "serve"), environment, data, port)


def _urls(file: SetFile, service: str) -> str:
    return ",".join(file.services[service].urls)


def _storage_settings(file: SetFile, _number: int) -> dict[str, str]:
    return {
        "S3_ENDPOINT": file.s3.endpoint,
        "S3_ACCESS_KEY": file.s3.access_key,
        "S3_SECRET_KEY": file.s3.secret_key,
        "S3_BUCKET": file.s3.bucket,
        "GRANTS_JWKS_URL": _jwks(file, "generation"),
        "FETCH_PRIVATE_HOSTS": os.environ.get("FETCH_PRIVATE_HOSTS", ""),
    }


def _generation_settings(file: SetFile, _number: int) -> dict[str, str]:
    # The edge's URL, which forwards to any replica of storage. Workers get this URL with their work, which may wait in
    # the queue over a restart with fewer replicas.
    retired = retired_jwks(Path(file.grant_key_file))
    settings = {"GRANT_RETIRED_JWKS_FILE": str(retired)} if retired.exists() else {}
    return {
        "GRANT_KEY_FILE": file.grant_key_file,
        "STORAGE_URL": file.url,
        "S3_BUCKET": file.s3.bucket,
        "EMPROPS_SECRETS_KEY": Path(file.secrets_key_file).read_text(),
        "HTTP_WORKER_WANTED_FILE": str(Path(file.secrets_key_file).parents[1] / WANTED / HTTP_API),
        **settings,
    }


def _edge_settings(file: SetFile, _number: int) -> dict[str, str]:
    upstream = {f"{name.upper()}_URL": _urls(file, name) for name in SERVICES if name != "edge"}
    return {**upstream, "JWKS_FILE": file.jwks_file, "GRANTS_JWKS_URL": _jwks(file, "generation")}


def _jwks(file: SetFile, service: str) -> str:
    """One URL per replica, comma-separated: all serve the same keys, and one may be down when keys are fetched."""
    return ",".join(f"{url}/.well-known/jwks.json" for url in file.services[service].urls)


_OWN_SETTINGS: dict[str, Callable[[SetFile, int], dict[str, str]]] = {
    "storage": _storage_settings,
    "generation": _generation_settings,
    "edge": _edge_settings,
}
