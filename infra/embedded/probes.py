"""Checks whether a server answers, by the first messages of its protocol, without its client library.

For `emprops status`, which has three seconds for everything, Python's start included: on a busy machine, importing a
client library takes one of them.
"""

import http.client
import json
import socket
import struct
from urllib.parse import SplitResult, urlsplit

POSTGRES_3_0 = 196_608
AUTHENTICATION = b"R"


def probe_postgres(url: str, seconds: float) -> None:
    """Raises `OSError` unless the server requests a password: then it has forked a backend for the connection."""
    address = urlsplit(url)
    names = ("user", address.username or "", "database", address.path.lstrip("/"))
    body = struct.pack(">i", POSTGRES_3_0) + b"".join(name.encode() + b"\0" for name in names) + b"\0"
    with _connected(address, 5432, seconds) as connection:
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        answer = connection.recv(1024)
    if not answer.startswith(AUTHENTICATION):
        raise ConnectionError(f"PostgreSQL answers {_message(answer)}")


def _message(answer: bytes) -> str:
    """The message of an ErrorResponse: its fields are a letter and a text each, `M` is the message."""
    fields = answer[5:].split(b"\0")
    return next((field[1:].decode(errors="replace") for field in fields if field.startswith(b"M")), repr(answer[:80]))


def probe_nats(url: str, seconds: float) -> None:
    """Raises `OSError` unless the user can log in: reads INFO, sends CONNECT and PING, expects PONG."""
    address = urlsplit(url)
    options = {
        "user": address.username,
        "pass": address.password,
        "verbose": False,
        "pedantic": False,
        "lang": "py",
        "version": "1",
    }
    with _connected(address, 4222, seconds) as connection, connection.makefile("rb") as lines:
        information = lines.readline()
        if not information.startswith(b"INFO "):
            raise ConnectionError(f"no NATS server answers on port {address.port}")
        connection.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        answer = lines.readline()
        if not answer.startswith(b"PONG"):
            raise ConnectionError(f"the NATS server on port {address.port} answers {answer!r}")


def get(url: str, path: str, seconds: float) -> tuple[int, bytes]:
    """Status and body of a GET request. Raises `OSError`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def probe_http(url: str, path: str, seconds: float) -> None:
    """Raises `OSError` unless the answer is 200."""
    if (status := get(url, path, seconds)[0]) != 200:
        raise ConnectionError(f"{path} answers {status}")


def _connected(address: SplitResult, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((str(address.hostname), address.port or port), timeout=seconds)
