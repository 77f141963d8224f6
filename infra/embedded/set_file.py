"""The files that describe a set, in its folder, readable by their owner only.

`DATA/secrets.json` holds the passwords of its servers; only `rotation` changes an entry. `DATA/set.json` describes the
running set for the command line; it is replaced whenever a process starts, ends or becomes ready.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Literal, TypeVar
from uuid import UUID, uuid4

import msgspec

from infra.embedded.errors import SetError
from infra.embedded.process_start import ProcessStart

SET_FILE = "set.json"
SECRETS_FILE = "secrets.json"
LOGS = "logs"

State = Literal["starting", "ready", "waiting", "stopped"]
"""waiting: it died, and is restarted after its backoff."""

T = TypeVar("T")


class SetNotFoundError(SetError):
    """There is no set in the folder, or its file can't be read."""


class ProcessInfo(msgspec.Struct, kw_only=True):
    name: str
    """`postgres`, `credits-1`, `worker-2`: also the name of its log."""
    state: State
    pid: int | None = None
    start: ProcessStart | None = None
    """Identifies the process when its pid may have been reused."""
    program: str = ""
    restarts: int = 0
    url: str | None = None
    tells_health: bool = False
    """Whether it serves `/health/ready` and `/metrics` at `url`."""
    log: str = ""


class ServiceInfo(msgspec.Struct, kw_only=True):
    urls: list[str]
    """One per replica."""
    database_url: str
    """As the service's own role."""
    nats_url: str
    """As the service's own user."""


class S3Info(msgspec.Struct, kw_only=True):
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str


class SetFile(msgspec.Struct, kw_only=True):
    """A set: addresses, credentials, and processes."""

    url: str
    """The edge, for API clients on this machine."""
    public_url: str = ""
    """Where all others reach the edge; empty: at `url`."""
    pid: int
    """The supervisor's."""
    replicas: int
    issuer: str
    audience: str
    development_user: UUID
    issuer_key_file: str
    """Ed25519 private JWK that signs development tokens."""
    jwks_file: str
    grant_key_file: str
    secrets_key_file: str = ""
    """Encrypts the values of secrets."""
    postgres_url: str
    """As the superuser."""
    nats_url: str
    """As `operator`, which may do everything."""
    s3: S3Info
    services: dict[str, ServiceInfo]
    ports: dict[str, int]
    processes: list[ProcessInfo] = []


class Secrets:
    """Passwords by name, each made on first use. Call `save` before a process that uses one starts."""

    def __init__(self, data: Path) -> None:
        self._path = data / SECRETS_FILE
        self._values: dict[str, str] = _read(self._path, dict[str, str]) or {}
        self._changed = False

    def get(self, name: str) -> str:
        """A password of 160 random bits in hexadecimal: safe in URLs and files alike."""
        return self._remember(name, secrets.token_hex(20))

    def user(self) -> UUID:
        """The default user of development tokens."""
        return UUID(self._remember("development user", str(uuid4())))

    def _remember(self, name: str, fresh: str) -> str:
        if name not in self._values:
            self._values[name] = fresh
            self._changed = True
        return self._values[name]

    def replace(self, name: str, value: str) -> None:
        """Sets one password."""
        self._values[name] = value
        self._changed = True

    def remove(self, *names: str) -> None:
        """Removes passwords that exist: the next `get` makes other ones."""
        for name in names:
            self._changed |= self._values.pop(name, None) is not None

    def names(self) -> list[str]:
        """Of all entries."""
        return list(self._values)

    def save(self) -> None:
        if self._changed:
            write_private(self._path, msgspec.json.format(msgspec.json.encode(self._values)))
            self._changed = False


def write_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file atomically, readable by its owner only; if `durable`, its content is synced to disk before."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # on a full disk, it takes space
        raise


def write_if_changed(path: Path, content: bytes) -> None:
    """`write_private`, not durable, unless the file has this content: so a full disk does not prevent a restart."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    write_private(path, content, durable=False)


def encode_set(file: SetFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(file))


def write_set(data: Path, encoded: bytes) -> None:
    # Not durable: after a power failure only its ports are of use, and others can be picked.
    write_private(data / SET_FILE, encoded, durable=False)


def load_set(data: Path) -> SetFile:
    """The set of a folder, running or not. Raises `SetNotFoundError`."""
    file = find_set(data)
    if file is None:
        raise SetNotFoundError(f"There is no set in {data}")
    return file


def find_set(data: Path) -> SetFile | None:
    """The set that was last started in a folder, if any. Raises `SetNotFoundError` if its file can't be read."""
    return _read(data / SET_FILE, SetFile)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetNotFoundError(
            f"{path} can't be read: {error.strerror}. Only the user who started the set can read it."
        ) from error
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise SetNotFoundError(f"{path} is not a file of this version of emprops: {error}") from error
