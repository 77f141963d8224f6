"""Requests on objects, signed with the store's own time as of its last response.

A store accepts a signature only within minutes of its own time, so a machine whose clock is an hour off could neither
store nor read files. minio takes the time of a signature only in `get_presigned_url`.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import urllib3
from minio import Minio
from minio.error import S3Error

LIFETIME = timedelta(hours=1)
"""Lifetime of a signed request, retries included."""
ACCEPTED_SKEW = timedelta(minutes=1)
"""Clock difference that every store accepts: within it, a 403 has another reason, and is not retried."""


class StoreClock:
    """The store's time: the `Date` of its last response plus the time since. Before the first, this machine's."""

    def __init__(
        self, *, system: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._ahead = system() - monotonic()

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._ahead + self._monotonic(), UTC)

    def update(self, date: str) -> None:
        """Sets the time from the `Date` header of a response that has just arrived; an invalid date is ignored."""
        try:
            store_time = parsedate_to_datetime(date)
        except ValueError:
            return
        self._ahead = store_time.timestamp() - self._monotonic()


class SignedRequests:
    """Sends requests on one bucket's objects. Calls block, and raise S3Error or urllib3's HTTPError."""

    def __init__(self, client: Minio, http: urllib3.PoolManager, bucket: str, clock: StoreClock) -> None:
        self._client, self._http, self._bucket, self._clock = client, http, bucket, clock

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        streams: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The response, of a status below 300. `streams`: the caller reads the body and releases the connection."""
        all_headers = dict(headers or {})
        if body is not None:  # the store rejects a body that was corrupted on the way
            all_headers["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

        def request_at(now: datetime) -> urllib3.BaseHTTPResponse:
            url = self._client.get_presigned_url(
                method, self._bucket, path, expires=LIFETIME, request_date=now, extra_query_params={**(query or {})}
            )
            answer = self._http.request(method, url, body=body, headers=all_headers, preload_content=not streams)
            self._clock.update(answer.headers.get("Date", ""))
            return answer

        signed_for = self._clock()
        answer = request_at(signed_for)
        if answer.status == 403 and abs(self._clock() - signed_for) > ACCEPTED_SKEW:
            answer.drain_conn()
            answer = request_at(self._clock())
        if answer.status >= 300:
            raise S3Error.fromxml(answer) if b"<Error>" in answer.data else _unlike_s3(answer)
        return answer


def _unlike_s3(answer: urllib3.BaseHTTPResponse) -> Exception:
    return urllib3.exceptions.HTTPError(f"the store answered {answer.status} without an S3 error document")
