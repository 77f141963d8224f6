"""Paths of stored files, and the names that they may have. An unsafe name is refused, never repaired."""

import re
from urllib.parse import unquote_to_bytes
from uuid import UUID

from shared.contracts.problem import Detail, Problem, invalid

MAX_NAME = 200
"""Bytes of UTF-8. With the ids of its path, a key stays below S3's 1024 bytes; file systems take names up to 255."""

FORBIDDEN = frozenset('/\\<>:"|?*')
"""Path separators, and characters that some file systems or headers don't allow."""

RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
"""Device names on Windows, with any extension."""

CHARSET = re.compile(r"charset\s*=\s*\"?([a-z0-9_.:+-]{1,40})\"?", re.ASCII | re.IGNORECASE)
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")


def upload_prefix(user_id: UUID, upload_id: UUID) -> str:
    """The folder of one file that a user uploaded."""
    return f"uploads/{user_id}/{upload_id}/"


def decode_name(header: str, pointer: str) -> str:
    """Decodes a file name from percent-encoded UTF-8. Raises VALIDATION_FAILED at `pointer`."""
    if not header.isascii():
        raise invalid("The file name is not encoded", Detail(pointer, "must be percent-encoded UTF-8"))
    if re.search(r"%(?![0-9A-Fa-f]{2})", header):
        raise invalid(
            "The file name is not encoded",
            Detail(pointer, "has a % without two hexadecimal digits after it: write % as %25"),
        )
    try:
        return unquote_to_bytes(header).decode()
    except UnicodeDecodeError as error:
        raise invalid("The file name is not UTF-8", Detail(pointer, "must be percent-encoded UTF-8")) from error


def clean_name(name: str, pointer: str) -> str:
    """The name unchanged, in any Unicode form. Raises VALIDATION_FAILED at `pointer` if it is not safe."""
    fault = _fault(name)
    if fault:
        raise invalid(f"The file name {fault}", Detail(pointer, fault))
    return name


def _fault(name: str) -> str | None:
    faults = {
        "is empty": not name,
        "must not be made of dots alone": bool(name) and set(name) <= {"."},
        f"must not contain {' '.join(sorted(FORBIDDEN))}": not FORBIDDEN.isdisjoint(name),
        "must not contain control or invisible characters, nor spaces other than U+0020": not name.isprintable(),
        "must not begin or end with a space, nor end with a dot": name != name.strip() or name.endswith("."),
        f"must be at most {MAX_NAME} bytes long": len(name.encode(errors="replace")) > MAX_NAME,
        "must not be the name of a device on some systems": bool(RESERVED.fullmatch(name)),
    }
    return next((fault for fault, applies in faults.items() if applies), None)


def media_type(header: str | None) -> str:
    """The media type of a Content-Type in lower case, with its charset if any, without other parameters.

    `application/octet-stream` without a header. Raises UNSUPPORTED_MEDIA_TYPE.
    """
    if header is None:
        return "application/octet-stream"
    kind, *parameters = (part.strip() for part in header.split(";"))
    charset_parameters = [parameter for parameter in parameters if parameter.lower().startswith("charset")]
    charsets = [match for parameter in charset_parameters if (match := CHARSET.fullmatch(parameter))]
    if not MEDIA_TYPE.fullmatch(kind.lower()) or len(charset_parameters) > 1 or len(charset_parameters) > len(charsets):
        message = "must be a media type such as image/png, or text/plain; charset=utf-8"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    return f"{kind.lower()}; charset={charsets[0][1].lower()}" if charsets else kind.lower()
