"""Lists and copies objects, with requests that are signed in their headers: presigned ones can do neither."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from minio.datatypes import Object, parse_list_objects
from minio.error import S3Error

from services.storage.providers.file_store import Entry
from services.storage.providers.s3.signed import SignedRequests

MAX_COPY = 5 * 1024**3
"""Bytes of the largest object that a store copies by itself, in one request."""


def pages(requests: SignedRequests, prefix: str, page_size: int) -> Iterator[list[Entry]]:
    """The objects below a prefix. Blocks; raises S3Error or urllib3's HTTPError."""
    query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "max-keys": str(page_size)}
    while True:
        objects, is_truncated, token, _ = parse_list_objects(requests.send_with_headers("GET", "", query=query))
        yield [entry(item) for item in objects if not item.is_dir]
        if not is_truncated or token is None:
            return
        query["continuation-token"] = token


def copy_object(requests: SignedRequests, bucket: str, source: str, target: str) -> None:
    """Copies an object of at most MAX_COPY bytes. Raises S3Error also for a 200, as `Multipart.complete`."""
    answer = requests.send_with_headers("PUT", target, headers={"x-amz-copy-source": quote(f"/{bucket}/{source}")})
    if b"<Error>" in answer.data:
        raise S3Error.fromxml(answer)


def entry(item: Object) -> Entry:
    assert item.object_name is not None, "each listed object has its key"
    return Entry(item.object_name, item.size or 0, item.last_modified or datetime.fromtimestamp(0, UTC))
