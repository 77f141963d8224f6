"""Prepares what containers need: passwords and keys, and a file of settings for each container.

`python -m infra.docker.prepare files DIR` writes these files; `… provision DIR` creates each service's database and the
store's bucket. Both are idempotent.
"""

import argparse
import json
from pathlib import Path

from infra.embedded.keys import AUDIENCE, DEVELOPMENT_ISSUER, ensure_private_key, ensure_secrets_key, public_jwks
from infra.embedded.nats import configuration
from infra.embedded.nats_users import COMFY, HTTP_API, HTTP_API_USER, service_users
from infra.embedded.plan import BUCKET, SERVICES
from infra.embedded.postgres import create_databases
from infra.embedded.seaweedfs import identities, s3_client
from infra.embedded.set_file import Secrets, write_private
from infra.embedded.worker_processes import COMFY_WORKER

HTTP_PORT = 8000
S3_ENDPOINT = "http://s3:8333"
READABLE = 0o644
"""For files that the images of PostgreSQL, NATS and SeaweedFS read as their own users; only this set mounts them."""


def write_files(folder: Path, public_url: str) -> None:
    """Writes the configuration of the servers, the keys, and the settings of each container."""
    folder.mkdir(parents=True, exist_ok=True)
    secrets = Secrets(folder)
    names = (*SERVICES, "worker", COMFY_WORKER, HTTP_API_USER, "operator")
    users = service_users(
        {name: secrets.get(f"nats/{name}") for name in names}, {COMFY_WORKER: COMFY, HTTP_API_USER: HTTP_API}
    )
    _write(folder / "postgres.password", secrets.get("postgres"), READABLE)
    _write(folder / "nats.conf", configuration("0.0.0.0:4222", "/data", users), READABLE)
    _write(folder / "s3.json", identities(secrets.get("s3/access"), secrets.get("s3/secret")), READABLE)
    issuer = ensure_private_key(folder / "issuer.jwk")
    ensure_private_key(folder / "grants.jwk")
    ensure_secrets_key(folder / "secrets.key")
    _write(folder / "jwks.json", json.dumps(public_jwks(issuer)), 0o600)
    for name, settings in environments(folder, secrets, public_url).items():
        _write(folder / f"{name}.env", "".join(f"{key}={value}\n" for key, value in settings.items()), 0o600)
    secrets.save()


def environments(folder: Path, secrets: Secrets, public_url: str) -> dict[str, dict[str, str]]:
    """The environment of each service and worker, by name."""
    grants = f"http://generation:{HTTP_PORT}/.well-known/jwks.json"
    own = {
        "storage": {
            "S3_ENDPOINT": S3_ENDPOINT,
            "S3_ACCESS_KEY": secrets.get("s3/access"),
            "S3_SECRET_KEY": secrets.get("s3/secret"),
            "S3_BUCKET": BUCKET,
            "GRANTS_JWKS_URL": grants,
        },
        "generation": {
            "GRANT_KEY_FILE": str(folder / "grants.jwk"),
            "STORAGE_URL": f"http://storage:{HTTP_PORT}",
            "S3_BUCKET": BUCKET,
            "EMPROPS_SECRETS_KEY": ensure_secrets_key(folder / "secrets.key"),
        },
        "edge": {
            **{f"{name.upper()}_URL": f"http://{name}:{HTTP_PORT}" for name in SERVICES if name != "edge"},
            "JWKS_FILE": str(folder / "jwks.json"),
            "GRANTS_JWKS_URL": grants,
        },
    }
    result = {
        name: {
            "DATABASE_URL": f"postgresql://{name}:{secrets.get(f'database/{name}')}@postgres:5432/{name}",
            "NATS_URL": _nats_url(name, secrets),
            "HTTP_HOST": "0.0.0.0",  # noqa: S104 - a container's own network; only the edge's port is published
            "HTTP_PORT": str(HTTP_PORT),
            "PUBLIC_URL": public_url,
            "AUTH_JWKS_URL": f"http://edge:{HTTP_PORT}/.well-known/jwks.json",
            "AUTH_ISSUER": DEVELOPMENT_ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            **own.get(name, {}),
        }
        for name in SERVICES
    }
    result |= {
        name: {"NATS_URL": _nats_url(name, secrets), "PUBLIC_URL": public_url}
        for name in ("worker", COMFY_WORKER, HTTP_API_USER)
    }
    return result


def provision(folder: Path) -> None:
    """Creates the databases with their roles, and the bucket. Needs the running servers. Idempotent."""
    secrets = Secrets(folder)
    superuser = f"postgresql://postgres:{secrets.get('postgres')}@postgres:5432/postgres"
    create_databases(superuser, {name: secrets.get(f"database/{name}") for name in SERVICES})
    client = s3_client(S3_ENDPOINT, secrets.get("s3/access"), secrets.get("s3/secret"))
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)


def _nats_url(user: str, secrets: Secrets) -> str:
    return f"nats://{user}:{secrets.get(f'nats/{user}')}@nats:4222"


def _write(path: Path, text: str, mode: int) -> None:
    write_private(path, text.encode())
    path.chmod(mode)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.docker.prepare", description=__doc__)
    parser.add_argument("step", choices=["files", "provision"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--public-url", default="http://127.0.0.1:8080", help="where clients reach the edge")
    arguments = parser.parse_args()
    if arguments.step == "files":
        write_files(arguments.folder, arguments.public_url)
    else:
        provision(arguments.folder)


if __name__ == "__main__":
    main()
