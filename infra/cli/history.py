"""Shared by the commands that read a service's history: its definition, its store, and error messages."""

import asyncio
import contextlib
import importlib
import logging
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import click
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from infra.cli.options import Command, command_line, fail, open_running_set
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, StoreUnavailable
from shared.eventstore.connections import NoAnswer, connect_sync, within_sync
from shared.eventstore.migrate import Busy
from shared.runtime import ServiceDefinition

SERVICES = ("collections", "generation", "credits", "storage")
"""Services with an event store."""

WATCH_SECONDS, MAX_FAILED_CHECKS = 3.0, 2
"""A command checks PostgreSQL every WATCH_SECONDS, and ends after MAX_FAILED_CHECKS failures in a row."""
UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, StoreUnavailable, Busy)

T = TypeVar("T")


def service_option(command: Command) -> Command:
    return click.option(
        "--service", type=click.Choice(SERVICES), required=True, help="The service; the set must be running."
    )(command)


def definition_of(service: str) -> ServiceDefinition:
    definition = importlib.import_module(f"services.{service}.app").SERVICE
    assert isinstance(definition, ServiceDefinition)
    return definition


@contextlib.asynccontextmanager
async def opened_store(data: Path, service: str) -> AsyncIterator[EventStore]:
    """The service's store, opened with the service's own role.

    Ends the command with exit code 1 and a message if the set is not running or PostgreSQL does not answer.
    """
    dsn = open_running_set(data).services[service].database_url
    is_over = threading.Event()
    threading.Thread(target=_watch, args=(data, dsn, is_over), name="watch", daemon=True).start()
    try:
        async with EventStore.open(dsn, definition_of(service).codec()) as store:
            yield store
    except UNAVAILABLE as error:
        is_over.set()
        _fail(data, error)
    finally:
        is_over.set()


def _watch(data: Path, dsn: str, is_over: threading.Event) -> None:
    """Exits the process if the set stops, or PostgreSQL stops answering, while the command runs.

    Uses os._exit: a regular exit would wait for hanging threads, and for psycopg, which sends the server a cancel.
    """
    failures = 0
    while not is_over.wait(WATCH_SECONDS):
        try:
            open_running_set(data)
            with connect_sync(dsn, "watch", autocommit=True) as connection, within_sync(WATCH_SECONDS, connection):
                connection.execute("select 1")
            failures = 0
        except UNAVAILABLE as error:
            failures += 1
            if failures == MAX_FAILED_CHECKS and not is_over.is_set():
                with contextlib.suppress(SystemExit):
                    _fail(data, error)
                os._exit(1)
        except SystemExit:  # open_running_set has printed the reason
            os._exit(1)


def _fail(data: Path, error: psycopg.Error | StoreUnavailable | Busy) -> NoReturn:
    fail(f"{_cause(error)}. To find the cause: {command_line('status', '--data', data)}")


def _cause(error: psycopg.Error | StoreUnavailable | Busy) -> str:
    """PostgreSQL's own message if it sent one; the client library's messages are about sockets."""
    if isinstance(error, Busy):
        return "another process is migrating this database, and has not finished in time"
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        return f"PostgreSQL refused the statement: {cause.diag.message_primary}"
    if isinstance(cause, NoAnswer | PoolTimeout | psycopg.errors.ConnectionTimeout):
        return "PostgreSQL gave no answer in time"
    return "PostgreSQL can't be reached, or closed the connection"


def no_stream(data: Path, service: str, stream: UUID) -> str:
    list_events = command_line("events", "--data", data, "--service", service)
    return f"{service} has no stream {stream}. To list its events and their streams: {list_events}"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine. A Problem ends the command with its message and exit code 1."""
    # Not structlog's own renderer, whose tracebacks show all variables: passwords, too.
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(40),
    )
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # its pool logs every failed attempt
    try:
        return asyncio.run(work)
    except Problem as problem:
        fail(problem.detail)


def parse_as_of(text: str | None) -> int | datetime | None:
    """A version (`3`) or a time (`2026-11-22T18:00:00Z`; UTC without an offset). Anything else ends the command."""
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text} is neither a version such as 3 nor a time such as 2026-11-22T18:00:00Z", code=2)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
