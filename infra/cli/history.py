"""What the commands on a service's history have in common: its definition, its store, its words for errors."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
import structlog

from infra.cli.options import Command, fail, open_running_set
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, StoreUnavailable
from shared.runtime import ServiceDefinition

SERVICES = ("collections", "generation", "credits", "storage")
"""Those that have a history."""

T = TypeVar("T")


def service_option(command: Command) -> Command:
    return click.option("--service", type=click.Choice(SERVICES), required=True, help="Whose history.")(command)


def definition_of(service: str) -> ServiceDefinition:
    definition = importlib.import_module(f"services.{service}.app").SERVICE
    assert isinstance(definition, ServiceDefinition)
    return definition


@contextlib.asynccontextmanager
async def opened_store(data: Path, service: str) -> AsyncIterator[EventStore]:
    """The service's store, as the service's own role; ends the command at once when the set does not run."""
    made = open_running_set(data)
    async with EventStore.open(made.services[service].database_url, definition_of(service).codec()) as store:
        yield store


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work; what goes wrong is said in a sentence."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    try:
        return asyncio.run(work)
    except (psycopg.OperationalError, StoreUnavailable, OSError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        fail(f"PostgreSQL does not answer as it should ({said}). See what is the matter: emprops status --data DIR")
    except Problem as problem:
        fail(problem.detail)


def parse_as_of(text: str | None) -> int | datetime | None:
    """A version (`3`) or a time (`2026-11-22T18:00:00Z`; UTC where it names no zone)."""
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text} is neither a version such as 3 nor a time such as 2026-11-22T18:00:00Z", code=2)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
