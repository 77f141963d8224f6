"""An upload in parts, by requests that minio signs and its HTTP pool sends.

minio itself makes these calls only inside `put_object`, which wants a file to read, and so a thread that waits for the
client, and leaks more threads when that file fails. Its public API signs any request, and that is all that is missing.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

import urllib3
from minio import Minio
from minio.datatypes import Part
from minio.error import S3Error

VALID = timedelta(hours=1)
"""For how long a signed request may be sent, retries included."""

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Multipart:
    """Of one object. Calls wait for the store, and raise S3Error, or what urllib3 raises."""

    def __init__(self, client: Minio, http: urllib3.PoolManager, bucket: str, path: str) -> None:
        self._client, self._http, self._bucket, self._path = client, http, bucket, path

    def begin(self, media_type: str) -> str:
        """The id of a new upload."""
        answer = self._ask("POST", {"uploads": ""}, headers={"Content-Type": media_type})
        found = _UPLOAD_ID.search(answer.data)
        if found is None:
            raise urllib3.exceptions.HTTPError("the store began an upload without an id")
        return found.group(1).decode()

    def send(self, upload_id: str, number: int, content: bytes) -> Part:
        answer = self._ask("PUT", {"partNumber": str(number), "uploadId": upload_id}, content)
        return Part(number, answer.headers["ETag"].strip('"'))

    def complete(self, upload_id: str, parts: Sequence[Part]) -> None:
        """The store may find only now, having answered 200 already, that it can't."""
        listed = "".join(
            f'<Part><PartNumber>{part.part_number}</PartNumber><ETag>"{part.etag}"</ETag></Part>' for part in parts
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", {"uploadId": upload_id}, body, {"Content-Type": "application/xml"})
        if b"<Error>" in answer.data:
            raise S3Error.fromxml(answer)

    def abort(self, upload_id: str) -> None:
        self._ask("DELETE", {"uploadId": upload_id})

    def _ask(
        self, method: str, query: dict[str, str], body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        url = self._client.get_presigned_url(
            method, self._bucket, self._path, expires=VALID, extra_query_params={**query}
        )
        answer = self._http.request(method, url, body=body, headers=headers)
        if answer.status >= 300:
            raise S3Error.fromxml(answer) if b"<Error>" in answer.data else _unlike_s3(answer)
        return answer


def _unlike_s3(answer: urllib3.BaseHTTPResponse) -> Exception:
    return urllib3.exceptions.HTTPError(f"the store answered {answer.status} without S3's words")
