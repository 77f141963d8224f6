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
from urllib.parse import SplitResult, quote, urlencode

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.error import S3Error
from minio.signer import sign_v4_s3

LIFETIME = timedelta(hours=1)
"""Lifetime of a signed request, retries included."""
REGION = "us-east-1"
EMPTY_SHA256 = hashlib.sha256().hexdigest()
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


class NoObject(urllib3.exceptions.HTTPError):
    """The answer to HEAD is 404; it has no error document."""


class SignedRequests:
    """Sends requests on one bucket's objects. Calls block, and raise S3Error or urllib3's HTTPError."""

    def __init__(
        self,
        client: Minio,
        http: urllib3.PoolManager,
        bucket_url: SplitResult,
        credentials: Credentials,
        clock: StoreClock,
    ) -> None:
        """`bucket_url` ends with the bucket's name."""
        self._client, self._http, self._clock = client, http, clock
        self._bucket_url, self._credentials = bucket_url, credentials

    def presigned(self, method: str, path: str, lifetime: timedelta, query: Mapping[str, str] | None = None) -> str:
        """A URL with which anybody can send this request for so long, from the store's time on."""
        return self._presigned(method, path, lifetime, query, self._clock())

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
            url = self._presigned(method, path, LIFETIME, query, now)
            return self._http.request(method, url, body=body, headers=all_headers, preload_content=not streams)

        return self._at_store_time(method, request_at)

    def send_with_headers(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """As `send`, for what a presigned request can't do: requests on the bucket (no path), `x-amz-` headers."""
        url = self._bucket_url._replace(
            path=f"{self._bucket_url.path}/{quote(path)}" if path else self._bucket_url.path,
            query=urlencode(query or {}, quote_via=quote, safe=""),
        )

        def request_at(now: datetime) -> urllib3.BaseHTTPResponse:
            signed_headers: dict[str, str | list[str] | tuple[str]] = {
                "Host": url.netloc,
                "x-amz-content-sha256": EMPTY_SHA256,
                "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
                **(headers or {}),
            }
            sign_v4_s3(
                method=method,
                url=url,
                region=REGION,
                headers=signed_headers,
                credentials=self._credentials,
                content_sha256=EMPTY_SHA256,
                date=now,
            )
            texts = {name: str(value) for name, value in signed_headers.items()}
            return self._http.request(method, url.geturl(), headers=texts)

        return self._at_store_time(method, request_at)

    def _presigned(
        self, method: str, path: str, lifetime: timedelta, query: Mapping[str, str] | None, now: datetime
    ) -> str:
        bucket = self._bucket_url.path.rpartition("/")[2]
        return self._client.get_presigned_url(
            method, bucket, path, expires=lifetime, request_date=now, extra_query_params={**(query or {})}
        )

    def _at_store_time(
        self, method: str, request_at: Callable[[datetime], urllib3.BaseHTTPResponse]
    ) -> urllib3.BaseHTTPResponse:
        """Sends the request again if it was refused because this machine's time differs from the store's."""
        signed_for = self._clock()
        answer = request_at(signed_for)
        self._clock.update(answer.headers.get("Date", ""))
        if answer.status == 403 and abs(self._clock() - signed_for) > ACCEPTED_SKEW:
            answer.drain_conn()
            answer = request_at(self._clock())
            self._clock.update(answer.headers.get("Date", ""))
        if answer.status == 404 and method == "HEAD":
            raise NoObject("the store has no such object")
        if answer.status >= 300:
            raise S3Error.fromxml(answer) if b"<Error>" in answer.data else _unlike_s3(answer)
        return answer


def _unlike_s3(answer: urllib3.BaseHTTPResponse) -> Exception:
    return urllib3.exceptions.HTTPError(f"the store answered {answer.status} without an S3 error document")
