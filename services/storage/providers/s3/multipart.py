"""S3 multipart uploads.

The minio client makes these calls only inside `put_object`. That needs a file object to read, so a thread that waits
for the client, and it leaks threads when the file raises.
"""

import re
from collections.abc import Sequence

import urllib3
from minio.datatypes import ListPartsResult, Part
from minio.error import S3Error

from services.storage.providers.s3.signed import SignedRequests

GONE = {"NoSuchUpload", "NoSuchKey"}
"""Codes of an upload that was completed, aborted, or deleted by the store's lifecycle rules."""
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Multipart:
    """The multipart uploads of one object. Calls block, and raise S3Error or urllib3's HTTPError."""

    def __init__(self, requests: SignedRequests, path: str) -> None:
        self._requests, self._path = requests, path

    def begin(self, media_type: str) -> str:
        """Begins an upload and returns its id."""
        answer = self._send_request("POST", {"uploads": ""}, headers={"Content-Type": media_type})
        upload_id = _UPLOAD_ID.search(answer.data)
        if upload_id is None:
            raise urllib3.exceptions.HTTPError("the store's answer to CreateMultipartUpload has no UploadId")
        return upload_id.group(1).decode()

    def send(self, upload_id: str, number: int, content: bytes) -> Part:
        """Uploads a part; numbers begin at 1."""
        answer = self._send_request("PUT", {"partNumber": str(number), "uploadId": upload_id}, content)
        return Part(number, answer.headers["ETag"].strip('"'))

    def parts(self, upload_id: str) -> dict[int, Part] | None:
        """The parts that the store has, by their numbers. None if it does not have the upload any more."""
        parts: dict[int, Part] = {}
        marker = ""
        while True:
            query = {"uploadId": upload_id, **({"part-number-marker": marker} if marker else {})}
            try:
                answer = ListPartsResult(self._send_request("GET", query))
            except S3Error as error:
                if error.code in GONE:
                    return None
                raise
            parts |= {part.part_number: part for part in answer.parts}
            next_marker = answer.next_part_number_marker or ""
            if not answer.is_truncated or next_marker == marker:
                return parts
            marker = next_marker

    def complete(self, upload_id: str, parts: Sequence[Part]) -> None:
        """Raises S3Error also for a 200: a store may send the status first and fail afterwards."""
        elements = "".join(
            f'<Part><PartNumber>{part.part_number}</PartNumber><ETag>"{part.etag}"</ETag></Part>' for part in parts
        )
        body = f"<CompleteMultipartUpload>{elements}</CompleteMultipartUpload>".encode()
        answer = self._send_request("POST", {"uploadId": upload_id}, body, {"Content-Type": "application/xml"})
        if b"<Error>" in answer.data:
            raise S3Error.fromxml(answer)

    def abort(self, upload_id: str) -> None:
        """Ends an upload that is not complete; the store deletes its parts."""
        self._send_request("DELETE", {"uploadId": upload_id})

    def _send_request(
        self, method: str, query: dict[str, str], body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        return self._requests.send(method, self._path, query=query, body=body, headers=headers)
