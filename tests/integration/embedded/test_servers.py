"""The three servers from wheels: on loopback only, with passwords, and with durable data."""

import asyncio
import contextlib
import io
import signal
import socket
import ssl
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import nats
import nats.errors
import psutil
import psycopg
import pytest
from minio.error import S3Error

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import service_users
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.postgres import PostgresServer, create_databases
from infra.embedded.process import ProcessSpec, running
from infra.embedded.seaweedfs import PORTS, SeaweedServer, s3_client
from tests.support.patience import PATIENCE

ODD = """the sät's "own", $HOME `x` \\u00e9 ✓ """
"""Part of a folder's name, with characters that are special to a shell or in a configuration file."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Closed to other users, with a name that needs quoting and is longer than a Unix socket's path may be."""
    path = tmp_path / (ODD + "long" * 30)
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def postgres(folder: Path) -> PostgresServer:
    return PostgresServer(folder / "postgres", PortPicker().pick("postgres"), "the-superusers", fsync=False)


@pytest.fixture
def nats_server(folder: Path) -> NatsServer:
    names = ("collections", "generation", "credits", "storage", "edge", "worker", "operator")
    return NatsServer(
        folder / "nats", PortPicker().pick("nats"), service_users({name: f"{name}-password" for name in names})
    )


@pytest.fixture
def seaweed(folder: Path) -> SeaweedServer:
    picker = PortPicker()
    ports = {name: picker.pick(name) for name in PORTS}
    return SeaweedServer(folder / "s3", ports, "access", "secret-secret", "internal-internal")


def addresses_of(pid: int) -> set[str]:
    """The addresses that a process and its children listen on."""
    process = psutil.Process(pid)
    addresses = set()
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's processes come and go
            sockets = member.net_connections("inet")
            addresses |= {it.laddr.ip for it in sockets if it.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}}
    return addresses


@pytest.mark.parametrize("kind", ["postgres", "nats_server", "seaweed"])
def test_no_server_listens_beyond_loopback(kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """All listeners of a server's processes, TCP and UDP, are bound to 127.0.0.1."""
    spec: ProcessSpec = request.getfixturevalue(kind).process()
    with running(spec, folder) as process:
        assert addresses_of(process.pid) == {LOOPBACK}


class TestPostgres:
    def test_without_the_password_there_is_no_way_in(self, postgres: PostgresServer, folder: Path) -> None:
        """A wrong or missing password is refused, and there is no socket beside the port."""
        with running(postgres.process(), folder):
            for dsn in (postgres.dsn(password="guess"), f"postgresql://postgres@{LOOPBACK}:{postgres.port}/postgres"):
                with pytest.raises(psycopg.OperationalError, match="password"):
                    psycopg.connect(dsn, passfile="/dev/null")
            assert not list(folder.rglob(".s.PGSQL*"))

    def test_a_service_reaches_its_own_database_only(self, postgres: PostgresServer, folder: Path) -> None:
        """Its role owns its database, and may connect to no other."""
        with running(postgres.process(), folder):
            for _ in range(2):  # a second start sets everything up again
                create_databases(postgres.dsn(), {"credits": "c-password", "storage": "s-password"})
            with psycopg.connect(postgres.dsn("credits", user="credits", password="c-password")) as connection:
                connection.execute("CREATE TABLE own (id int)")
            for other in ("storage", "postgres", "template1"):
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    psycopg.connect(postgres.dsn(other, user="credits", password="c-password"))

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
    def test_it_goes_on_with_the_same_data(
        self, postgres: PostgresServer, folder: Path, ending: signal.Signals
    ) -> None:
        """What was committed is there after a stop and after kill -9."""
        with running(postgres.process(), folder) as process:
            with psycopg.connect(postgres.dsn()) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
            children = psutil.Process(process.pid).children()
            process.send_signal(ending)
            process.wait()
            psutil.wait_procs(children, timeout=PATIENCE)
        with running(postgres.process(), folder), psycopg.connect(postgres.dsn()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)

    def test_a_lock_with_the_pid_of_another_process_is_removed(self, postgres: PostgresServer, folder: Path) -> None:
        """After a reboot the pid in postmaster.pid may be in use again."""
        with running(postgres.process(), folder):
            lines = (postgres.directory / "postmaster.pid").read_text().splitlines()
        lock = postgres.directory / "postmaster.pid"
        lock.write_text("\n".join(["1", *lines[1:]]) + "\n")
        with running(postgres.process(), folder):
            postgres.check()

    @pytest.mark.parametrize("content", ["", "\n", "garbage\n", "-1\n", "99999999999999999999\n"])
    def test_a_lock_without_a_valid_pid_is_removed(self, postgres: PostgresServer, folder: Path, content: str) -> None:
        """After a full disk or a power failure postmaster.pid may hold anything."""
        with running(postgres.process(), folder):
            pass
        (postgres.directory / "postmaster.pid").write_text(content)
        with running(postgres.process(), folder):
            postgres.check()

    def test_the_lock_of_a_running_server_is_kept(self, postgres: PostgresServer, folder: Path) -> None:
        """With any content: two servers on one cluster would destroy it."""
        with running(postgres.process(), folder):
            lock = postgres.directory / "postmaster.pid"
            content = lock.read_bytes()
            lock.write_text("garbage\n")
            postgres.process().prepare()
            assert lock.read_text() == "garbage\n"
            lock.write_bytes(content)

    def test_an_interrupted_first_start_is_cleaned_up(self, postgres: PostgresServer, folder: Path) -> None:
        """The partial cluster and its password file are removed."""
        half, password = folder / "postgres.0123.new", folder / "postgres.0123.password"
        (half / "base").mkdir(parents=True)
        password.touch()
        with running(postgres.process(), folder):
            postgres.check()
        assert not half.exists()
        assert not password.exists()


class TestNats:
    async def test_without_the_password_there_is_no_way_in(self, nats_server: NatsServer, folder: Path) -> None:
        """Neither a client without credentials nor one with a wrong password can connect."""
        with running(nats_server.process(), folder):
            for credentials in ("", "credits:guess@"):
                with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
                    await nats.connect(
                        f"nats://{credentials}{LOOPBACK}:{nats_server.port}", allow_reconnect=False, error_cb=ignore
                    )

    async def test_a_service_publishes_its_own_events_only(self, nats_server: NatsServer, folder: Path) -> None:
        """Each owns its stream; what it publishes in another's name is refused, what it reads is not."""
        with running(nats_server.process(), folder):
            refusals: asyncio.Queue[str] = asyncio.Queue()

            async def note(error: Exception) -> None:
                refusals.put_nowait(str(error))

            credits_client = await nats.connect(nats_server.url("credits"), error_cb=note)
            stream = credits_client.jetstream(timeout=PATIENCE)
            await stream.add_stream(name="CREDITS", subjects=["events.credits.>"])
            await stream.publish("events.credits.account.1.hold_placed", b"{}")
            await credits_client.publish("events.storage.asset.1.asset_described", b"{}")
            async with asyncio.timeout(PATIENCE):
                assert "events.storage" in await refusals.get()

            reader = await nats.connect(nats_server.url("generation"), error_cb=note)
            subscription = await reader.jetstream().pull_subscribe(
                "events.credits.>", "generation-holds-v1", stream="CREDITS"
            )
            [message] = await subscription.fetch(1, timeout=PATIENCE)
            await message.ack_sync()
            assert message.data == b"{}"
            await credits_client.close()
            await reader.close()

    async def test_streams_outlive_a_kill(self, nats_server: NatsServer, folder: Path) -> None:
        """What JetStream acknowledged is there after kill -9."""
        with running(nats_server.process(), folder) as process:
            client = await nats.connect(nats_server.url("operator"))
            await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
            await client.jetstream().publish("kept", b"7")
            await client.close()
            process.kill()
        with running(nats_server.process(), folder):
            client = await nats.connect(nats_server.url("operator"))
            assert (await client.jetstream().get_msg("KEPT", 1)).data == b"7"
            await client.close()


async def ignore(error: Exception) -> None:
    """nats-py would log what the test expects."""


class TestSeaweed:
    def test_without_the_keys_there_is_no_way_in(self, seaweed: SeaweedServer, folder: Path) -> None:
        """Neither by S3 with another key, nor by the filer's own HTTP."""
        with running(seaweed.process(), folder):
            client = s3_client(seaweed.endpoint, seaweed.access_key, seaweed.secret_key)
            client.make_bucket("kept")
            client.put_object("kept", "a.txt", io.BytesIO(b"seven"), 5)
            with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
                s3_client(seaweed.endpoint, seaweed.access_key, "guess").get_object("kept", "a.txt")
            for url in (
                f"{seaweed.endpoint}/kept/a.txt",
                f"http://{LOOPBACK}:{seaweed.ports['filer']}/buckets/kept/a.txt",
            ):
                with pytest.raises(HTTPError, match=r"40[13]"):
                    urlopen(url, timeout=5)

    def test_its_parts_answer_each_other_only(self, seaweed: SeaweedServer, folder: Path) -> None:
        """Master and gRPC require a client certificate; the HTTP of volumes and filer a signed token."""
        with running(seaweed.process(), folder):
            trusting = ssl.create_default_context(cafile=seaweed.directory / "configuration" / "certificate.pem")
            for part in ("master", "master-grpc", "volume-grpc", "filer-grpc", "s3-grpc"):
                with socket.create_connection((LOOPBACK, seaweed.ports[part]), timeout=5) as plain:
                    connection = trusting.wrap_socket(plain, server_hostname=LOOPBACK)
                    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                        connection.recv(1)
            client = s3_client(seaweed.endpoint, seaweed.access_key, seaweed.secret_key)
            client.make_bucket("kept")
            client.put_object("kept", "a.txt", io.BytesIO(b"seven"), 5)
            for volume in range(1, 10):
                with pytest.raises(HTTPError, match=r"40[134]"):
                    urlopen(f"http://{LOOPBACK}:{seaweed.ports['volume']}/{volume},0100000000", timeout=5)

    def test_it_leaves_no_sockets(self, seaweed: SeaweedServer, folder: Path) -> None:
        """Nor files in the machine's temporary folder."""
        pattern = f"seaweedfs-*-{seaweed.ports['s3-grpc']}.sock"
        with running(seaweed.process(), folder):
            assert list(Path("/tmp").glob(pattern)), "its place for sockets has changed"
        assert not list(Path("/tmp").glob(pattern))

    def test_objects_outlive_a_kill_and_a_change_of_ports(self, seaweed: SeaweedServer, folder: Path) -> None:
        """The same data behind other ports, written right before kill -9."""
        with running(seaweed.process(), folder) as process:
            client = s3_client(seaweed.endpoint, seaweed.access_key, seaweed.secret_key)
            client.make_bucket("kept")
            body = bytes(range(256)) * 40_000  # of several chunks
            client.put_object("kept", "a.bin", io.BytesIO(body), len(body))
            process.kill()
        picker = PortPicker()
        moved = SeaweedServer(
            seaweed.directory,
            {name: picker.pick(name) for name in PORTS},
            seaweed.access_key,
            seaweed.secret_key,
            seaweed.internal_key,
        )
        with running(moved.process(), folder):
            client = s3_client(moved.endpoint, moved.access_key, moved.secret_key)
            with contextlib.closing(client.get_object("kept", "a.bin")) as response:
                assert response.read() == body
            client.put_object("kept", "b.bin", io.BytesIO(body), len(body))
