"""Builds services with a database only: no background task runs and nothing is sent."""

import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from litestar.testing import AsyncTestClient

from infra.embedded.keys import make_private_key
from shared.http import Authenticator, Issuer, create_app
from shared.runtime import Parts, Runtime, ServiceSettings
from shared.runtime.service import opened
from shared.runtime.settings import from_environment
from tests.contracts.catalogue import definitions

NOWHERE = "127.0.0.1:9"
Document = dict[str, Any]


def settings_of(service: str, database_url: str, folder: Path) -> ServiceSettings:
    """A service's settings, with URLs of servers that do not exist."""
    module = importlib.import_module(f"services.{service}.settings")
    [settings] = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    ]
    keys = folder / "key.json"
    keys.write_text(json.dumps(make_private_key()))
    environment = {
        "DATABASE_URL": database_url,
        "NATS_URL": f"nats://{NOWHERE}",
        "AUTH_JWKS_URL": f"http://{NOWHERE}/jwks.json",
        "GRANTS_JWKS_URL": f"http://{NOWHERE}/jwks.json",
        "GRANT_KEY_FILE": str(keys),
        "STORAGE_URL": f"http://{NOWHERE}",
        "S3_ENDPOINT": f"http://{NOWHERE}",
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
    }
    return from_environment(settings, environment)


@contextlib.asynccontextmanager
async def built(service: str, database_url: str, folder: Path) -> AsyncIterator[tuple[Runtime, Parts]]:
    """A service's runtime and parts, as it serves with them."""
    build: Callable[[Runtime], Any] = importlib.import_module(f"services.{service}.app").build
    async with opened(definitions()[service], settings_of(service, database_url, folder)) as runtime:
        yield runtime, await build(runtime)


async def openapi(runtime: Runtime, parts: Parts) -> Document:
    """The OpenAPI document that the service serves."""
    app = create_app(
        title=f"emprops {runtime.definition.name}",
        route_handlers=parts.route_handlers,
        authenticator=Authenticator([Issuer("nobody", f"http://{NOWHERE}/jwks.json")], "emprops"),
        registry=runtime.registry,
        dependencies=parts.dependencies,
        providers=parts.providers,
        max_body_bytes=parts.max_body_bytes,
    )
    async with AsyncTestClient(app) as client:
        response = await client.get("/schema/openapi.json")
    document: Document = response.raise_for_status().json()
    return document
