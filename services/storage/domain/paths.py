"""Where files lie, and which names they may have. A name that isn't safe as it stands is refused, never repaired."""

import re
from urllib.parse import unquote_to_bytes
from uuid import UUID

from shared.contracts.problem import Detail, Problem, invalid

MAX_NAME = 200
"""Bytes of UTF-8: with a path's ids before it, a key stays far below the 1024 bytes of S3 and a file name below 255."""

FORBIDDEN = frozenset('/\\<>:"|?*')
"""Separators, and what some file system or header of a later download can't carry."""

"""Unicode categories: controls, marks that turn or hide text, what is no character, and line breaks."""

RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
"""Device names on Windows, with any extension."""

CHARSET = re.compile(r"charset\s*=\s*\"?([a-z0-9_.:+-]{1,40})\"?", re.ASCII | re.IGNORECASE)
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")


def generation_prefix(user_id: UUID, job_id: UUID, gid: UUID, sid: UUID) -> str:
    """The folder of one step's files."""
    return f"generations/{user_id}/{job_id}/{gid}/{sid}/"


def upload_prefix(user_id: UUID, upload_id: UUID) -> str:
    """The folder of one file that a user uploaded."""
    return f"uploads/{user_id}/{upload_id}/"


def decode_name(header: str, pointer: str) -> str:
    """The file name of a header: percent-encoded UTF-8, so a name of plain ASCII without `%` is itself."""
    if not header.isascii():
        raise invalid("The file name is not encoded", Detail(pointer, "must be percent-encoded UTF-8"))
    if re.search(r"%(?![0-9A-Fa-f]{2})", header):
        raise invalid("The file name is not encoded", Detail(pointer, "has a % that starts no %XX; write % as %25"))
    try:
        return unquote_to_bytes(header).decode()
    except UnicodeDecodeError as error:
        raise invalid("The file name is not UTF-8", Detail(pointer, "must be percent-encoded UTF-8")) from error


def clean_name(name: str, pointer: str) -> str:
    """The name as it was sent, whatever its Unicode form; VALIDATION_FAILED if it isn't safe."""
    fault = _fault(name)
    if fault:
        raise invalid(f"The file name {fault}", Detail(pointer, fault))
    return name


def _fault(name: str) -> str | None:
    faults = {
        "is empty": not name,
        "must not be made of dots alone": bool(name) and set(name) <= {"."},
        f"must not contain {' '.join(sorted(FORBIDDEN))}": not FORBIDDEN.isdisjoint(name),
        "must not contain control or invisible characters, nor spaces of other kinds": not name.isprintable(),
        "must not begin or end with a space, nor end with a dot": name != name.strip() or name.endswith("."),
        f"must be at most {MAX_NAME} bytes long": len(name.encode(errors="replace")) > MAX_NAME,
        "must not be the name of a device on some systems": bool(RESERVED.fullmatch(name)),
    }
    return next((fault for fault, found in faults.items() if found), None)


def media_type(header: str | None) -> str:
    """The type and subtype of a Content-Type in lower case, with its charset if it names one, and no other parameter.

    `application/octet-stream` without a header.
    """
    if header is None:
        return "application/octet-stream"
    kind, *parameters = (part.strip() for part in header.split(";"))
    named = [each for each in parameters if each.lower().startswith("charset")]
    charsets = [match for each in named if (match := CHARSET.fullmatch(each))]
    if not MEDIA_TYPE.fullmatch(kind.lower()) or len(named) > 1 or len(named) > len(charsets):
        message = "must be a media type such as image/png, or text/plain; charset=utf-8"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    return f"{kind.lower()}; charset={charsets[0][1].lower()}" if charsets else kind.lower()
