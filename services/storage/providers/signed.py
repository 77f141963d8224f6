"""Requests on objects, signed with the time that the store itself told: it refuses what is signed for another time.

A store takes a signature for a few minutes around its own time. With the time of this machine, no file could be stored
or read while its clock is an hour off. minio signs for any moment that it is given, but only by `get_presigned_url`.
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

VALID = timedelta(hours=1)
"""For how long a signed request may be sent, retries included."""
NEAR = timedelta(minutes=1)
"""No store refuses a signature for so small a difference: what was signed that near is refused for another reason."""


class StoreClock:
    """The store's time: what its last answer told, and what has passed since then. This machine's before the first."""

    def __init__(
        self, *, system: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._ahead = system() - monotonic()

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._ahead + self._monotonic(), UTC)

    def told(self, date: str) -> None:
        """What `Date` in an answer says, which has just come; anything that is no date is passed over."""
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        self._ahead = told.timestamp() - self._monotonic()


class SignedRequests:
    """On one bucket's objects. Calls wait for the store, and raise S3Error, or what urllib3 raises."""

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
        """The store's answer, a success. `streams`: the caller reads its body, and gives the connection back."""
        sent = dict(headers or {})
        if body is not None:  # a store refuses what does not arrive as it was sent
            sent["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

        def ask(now: datetime) -> urllib3.BaseHTTPResponse:
            url = self._client.get_presigned_url(
                method, self._bucket, path, expires=VALID, request_date=now, extra_query_params={**(query or {})}
            )
            answer = self._http.request(method, url, body=body, headers=sent, preload_content=not streams)
            self._clock.told(answer.headers.get("Date", ""))
            return answer

        signed_for = self._clock()
        answer = ask(signed_for)
        if answer.status == 403 and abs(self._clock() - signed_for) > NEAR:
            answer.drain_conn()
            answer = ask(self._clock())
        if answer.status >= 300:
            raise S3Error.fromxml(answer) if b"<Error>" in answer.data else _unlike_s3(answer)
        return answer


def _unlike_s3(answer: urllib3.BaseHTTPResponse) -> Exception:
    return urllib3.exceptions.HTTPError(f"the store answered {answer.status} without S3's words")
