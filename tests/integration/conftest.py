"""Databases with the tables of all services: a copy costs a tenth of what migrating each test's own would."""

from collections.abc import Callable

import pytest

from shared.eventstore.migrate import apply_migrations
from tests.contracts.catalogue import definitions
from tests.support.servers import Servers


@pytest.fixture
def databases(servers: Servers, databases: Callable[..., str]) -> Callable[..., str]:
    """A function: the DSN of another fresh database, migrated, or a copy of the template it is given."""
    return lambda template=None: databases(template or servers.template("services", fill))


def fill(dsn: str) -> None:
    """Applies every migration of every service; the names of their tables differ."""
    schemas = {schema.name: schema for definition in definitions().values() for schema in definition.schemas()}
    apply_migrations(dsn, list(schemas.values()))
