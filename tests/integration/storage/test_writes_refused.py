"""A file store that refuses writes: readiness reports it, and stored files are served."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.embedded.ports import PortPicker
from infra.embedded.process import running
from infra.embedded.seaweedfs import CONFIGURATION, PORTS, SeaweedServer, identities
from tests.support.apps.storage import Api, storage_service
from tests.support.patience import eventually
from tests.support.servers import S3, Bucket

READER = {
    "name": "reader",
    "credentials": [{"accessKey": "reader", "secretKey": "may read"}],
    "actions": ["Read", "List"],
}


@contextmanager
def file_store(folder: Path, logs: Path) -> Iterator[Bucket]:
    """A SeaweedFS of the test's own, at which `reader` may not write."""
    picker = PortPicker()
    server = SeaweedServer(folder, {name: picker.pick(name) for name in PORTS}, "writer", "may write", "internal")
    spec = server.process()

    def prepare() -> None:
        spec.prepare()
        document = json.loads(identities(server.access_key, server.secret_key))
        (folder / CONFIGURATION / "s3.json").write_text(json.dumps({"identities": [*document["identities"], READER]}))

    with running(dataclasses.replace(spec, prepare=prepare), logs):
        bucket = Bucket(S3(server.endpoint, server.access_key, server.secret_key), "files")
        bucket.client().make_bucket(bucket.name)
        yield bucket


async def says(api: Api, status: int, of_the_store: str) -> bool:
    answer = await api.ask("GET", "/health/ready", {})
    return (answer.status, answer.body["checks"]["file store"]["status"]) == (status, of_the_store)


async def test_a_store_without_the_right_to_write(database: str, nats_url: str, tmp_path: Path) -> None:
    """The service's keys may read and list, which is all that a look at the bucket would show."""
    with file_store(tmp_path / "s3", tmp_path) as bucket:
        async with storage_service(database, nats_url, bucket, tmp_path) as api:
            asset = (await api.upload(b"content")).data
            await eventually(lambda: says(api, 200, "ok"), "readiness with a store that takes files")
        reader = {"s3_access_key": "reader", "s3_secret_key": "may read"}
        async with storage_service(database, nats_url, bucket, tmp_path, **reader) as api:
            await eventually(lambda: says(api, 503, "failing"), "readiness to name the file store")
            assert (await api.get(f"/assets/{asset['id']}/content")).body == b"content", "it answers"
            assert (await api.upload(b"more", "b.png")).refusal == (503, "UNAVAILABLE", [])
