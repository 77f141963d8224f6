"""Faults of servers that are away pass by themselves; faults of an event don't."""

from uuid import UUID

import nats.errors
import nats.js.errors
import psycopg
import psycopg.errors
import psycopg_pool
import pytest

from shared.contracts.problem import Problem
from shared.eventstore import StoreUnavailable, VersionConflict
from shared.handling.transient import is_transient


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        Problem("UNAVAILABLE", "away"),
        ConnectionRefusedError(),
        ConnectionResetError(),
        TimeoutError(),
        psycopg.OperationalError("could not connect"),
        psycopg.InterfaceError("the connection is closed"),
        psycopg_pool.PoolTimeout("no connection"),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DiskFull(),
        psycopg.errors.TooManyConnections(),
        psycopg.errors.ReadOnlySqlTransaction(),
        nats.errors.TimeoutError(),
        nats.errors.ConnectionClosedError(),
        nats.errors.NoRespondersError(),
        nats.js.errors.ServiceUnavailableError(),
        nats.js.errors.NoStreamResponseError(),
    ],
    ids=repr,
)
def test_what_passes_by_itself(error: Exception) -> None:
    """It is waited out, and not counted."""
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        Problem("VALIDATION_FAILED", "wrong"),
        Problem("VERSION_CONFLICT", "changed by others"),
        VersionConflict(UUID(int=1), 1, 2),
        FileNotFoundError("gone"),
        psycopg.errors.UniqueViolation(),
        psycopg.errors.ProgramLimitExceeded(),
        psycopg.errors.QueryCanceled(),
        psycopg.errors.UndefinedTable(),
        nats.errors.BadSubjectError(),
        nats.errors.MaxPayloadError(),
    ],
    ids=repr,
)
def test_what_does_not(error: Exception) -> None:
    """It is counted, and the event parked after some attempts."""
    assert not is_transient(error)
