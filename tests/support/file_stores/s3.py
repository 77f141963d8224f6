"""The embedded S3 server."""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from services.storage.providers.s3.store import S3Store
from tests.support.file_stores.subject import Subject
from tests.support.servers import Bucket
from tests.support.silence import SilentProxy


@contextlib.contextmanager
def s3_subject(bucket: Bucket, read_timeout: float) -> Iterator[Subject]:
    s3 = bucket.s3
    address = urlsplit(s3.endpoint)
    assert address.hostname is not None, "an endpoint has a host"
    with SilentProxy((address.hostname, address.port or 80)) as proxy:
        store = S3Store(
            f"http://{proxy.address}",
            s3.access_key,
            s3.secret_key,
            bucket.name,
            page_size=3,
            read_timeout=read_timeout,
        )
        try:
            yield Subject(store, proxy, unfinished=lambda: _uploads(store))
        finally:
            store.close()


def _uploads(store: S3Store) -> list[str]:
    """Ids of uploads that are neither complete nor aborted."""
    answer = store._requests.send_with_headers("GET", "", query={"uploads": ""})
    return [upload_id.decode() for upload_id in re.findall(rb"<UploadId>([^<]+)</UploadId>", answer.data)]
