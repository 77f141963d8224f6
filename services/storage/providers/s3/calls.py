"""Calls of the `minio` client and of signed requests, which block: they run in threads, with timeouts."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.error import MinioException, S3Error

from services.storage.providers.file_store import NoSuchFile, unavailable
from services.storage.providers.s3.signed import REGION, NoObject, SignedRequests, StoreClock

PARTS_AT_ONCE = 3
"""Concurrent part uploads per process, over all files; bounds its memory."""
THREADS = 24
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 30.0
MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}

P = ParamSpec("P")
T = TypeVar("T")


class S3Calls:
    """One bucket."""

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, bucket: str, *, clock: StoreClock, read_timeout: float
    ) -> None:
        """`read_timeout`: seconds to wait for the next bytes of an answer; each request is tried three times."""
        url = urlsplit(endpoint)
        http = urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        )
        self.client = Minio(
            url.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=url.scheme == "https",
            region=REGION,
            http_client=http,
        )
        bucket_url = url._replace(path=f"/{bucket}", query="", fragment="")
        self.requests = SignedRequests(self.client, http, bucket_url, Credentials(access_key, secret_key), clock)
        self.parts = asyncio.Semaphore(PARTS_AT_ONCE)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking call in a thread. Raises NoSuchFile, or UNAVAILABLE for other errors of minio and urllib3."""

        def guarded() -> T:
            with _translated():
                return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except NoObject as error:
        raise NoSuchFile from error
    except S3Error as error:
        if error.code in MISSING:
            raise NoSuchFile from error
        raise unavailable(error) from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise unavailable(error) from error
