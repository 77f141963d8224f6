"""`multipart/byteranges`, as Python's parser of MIME messages reads it."""

from collections.abc import Mapping
from email import message_from_bytes


def parts_of(raw: bytes, headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The Content-Range and the bytes of each part. The headers' length must be that of the body."""
    assert headers["content-length"] == str(len(raw))
    message = message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + raw)
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in parts]
