"""Whether a server answers: the first words of each one's protocol, spoken without its client library.

`emprops status` asks this way. It has three seconds for everything, Python's start included, and a client library takes
one of them to import on a busy machine.
"""

import http.client
import json
import socket
import struct
from urllib.parse import SplitResult, urlsplit

POSTGRES_3_0 = 196_608
AUTHENTICATION = b"R"


def hello_postgres(url: str, seconds: float) -> None:
    """Raises `OSError` unless the server asks for the password: a process of its own, just started, does."""
    address = urlsplit(url)
    names = ("user", address.username or "", "database", address.path.lstrip("/"))
    body = struct.pack(">i", POSTGRES_3_0) + b"".join(each.encode() + b"\0" for each in names) + b"\0"
    with _connected(address, 5432, seconds) as connection:
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        answer = connection.recv(1024)
    if not answer.startswith(AUTHENTICATION):
        raise ConnectionError(f"PostgreSQL says {_words(answer)}")


def _words(answer: bytes) -> str:
    """The sentence in an error of PostgreSQL's: fields of a letter and a text each, `M` is the one for people."""
    fields = answer[5:].split(b"\0")
    return next((field[1:].decode(errors="replace") for field in fields if field.startswith(b"M")), repr(answer[:80]))


def hello_nats(url: str, seconds: float) -> None:
    """Raises `OSError` unless the user can log in: INFO from the server, CONNECT and PING, PONG."""
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
            raise ConnectionError(f"the NATS server on port {address.port} said {answer!r}")


def get(url: str, path: str, seconds: float) -> tuple[int, bytes]:
    """Status and body. Raises `OSError`."""
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


def hello_http(url: str, path: str, seconds: float) -> None:
    """Raises `OSError` unless the answer is 200."""
    if (status := get(url, path, seconds)[0]) != 200:
        raise ConnectionError(f"{path} answers {status}")


def _connected(address: SplitResult, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((str(address.hostname), address.port or port), timeout=seconds)
