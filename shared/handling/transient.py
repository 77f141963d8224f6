"""Which failures are transient: they are retried until they end, and don't count as attempts of an event."""

import nats.errors
import nats.js.errors
import psycopg

from shared.contracts.problem import Problem
from shared.eventstore import StoreUnavailable

UNREACHABLE = (
    StoreUnavailable,
    ConnectionError,
    TimeoutError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.NoRespondersError,
    nats.errors.NoServersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.StaleConnectionError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
)
TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, rollback (deadlock, serialization), resources, object in use, intervention, system."""
QUERY_CANCELED = "57014"
TRANSIENT_CODES = ("25006", "25P03")
"""SQLSTATEs of a PostgreSQL that fails over, and of a transaction that was idle for too long."""


def is_transient(error: BaseException) -> bool:
    """Whether a server or the network can't be reached, so that the event is not the cause."""
    if isinstance(error, Problem):
        return error.code == "UNAVAILABLE"
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return error.sqlstate in TRANSIENT_CODES or (
            error.sqlstate[:2] in TRANSIENT_CLASSES and error.sqlstate != QUERY_CANCELED
        )
    return isinstance(error, UNREACHABLE)
