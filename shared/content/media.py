"""The media types of a package's files: their names' extensions, and whether a file's bytes are of its type.

The types are those of EXTENSIONS and their aliases. The types of a general library, such as those of libmagic, are more
than a package can state, and its guesses are less certain than these signatures.
"""

import codecs
import re

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/svg+xml": "svg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "model/gltf-binary": "glb",
    "application/json": "json",
    "application/pdf": "pdf",
    "text/html": "html",
    "text/plain": "txt",
}
OTHER_EXTENSION = "bin"
TEXT, SVG, EMPTY, UNKNOWN = "text/plain", "image/svg+xml", "nothing", "application/octet-stream"
KINDS = {
    "image/apng": "image/png",
    "image/avif-sequence": "image/avif",
    "image/jpg": "image/jpeg",
    "audio/mp4": "video/mp4",
    "video/quicktime": "video/mp4",
    "audio/webm": "video/webm",
    "video/x-matroska": "video/webm",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "application/ogg": "audio/ogg",
    "video/ogg": "audio/ogg",
}
"""The kinds of types that have the signature of another one; of the types of EXTENSIONS, each is a kind of its own."""

_SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"(?:RIFF|RF64|RIFX)....WAVE", "audio/wav"),
    (rb"....ftyp(?:.{4}){0,12}?avi[fs]", "image/avif"),
    (rb"....(?:ftyp|moov|mdat|free|skip|wide)", "video/mp4"),
    (rb"\x1aE\xdf\xa3", "video/webm"),
    (rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]", "audio/mpeg"),
    (rb"OggS", "audio/ogg"),
    (rb"glTF", "model/gltf-binary"),
    (rb"%PDF-", "application/pdf"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _SIGNATURES)
_SVG = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s>]")


def kind_of(start: bytes) -> str:
    """The kind of a file by its first chunk: one of EXTENSIONS, TEXT for any other text, EMPTY or UNKNOWN."""
    if not start:
        return EMPTY
    kind = next((kind for pattern, kind in _PATTERNS if pattern.match(start)), None)
    if kind is not None:
        return kind
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return UNKNOWN
    if b"\0" in start:
        return UNKNOWN
    return SVG if _SVG.search(start) else TEXT


def fits(mime_type: str, kind: str) -> bool:
    """Whether a file of this kind can be of this type. Other types than those above are not judged."""
    essence = mime_type.partition(";")[0].strip().lower()
    essence = KINDS.get(essence, essence)
    if essence.startswith("text/") or essence == "application/json":
        return kind in (TEXT, SVG, EMPTY)
    if essence == "audio/mpeg" and kind == UNKNOWN:
        return True  # a player skips what precedes the first frame
    return essence not in EXTENSIONS or kind == essence


def extension(mime_type: str) -> str:
    """The extension of a file's name in a package."""
    return EXTENSIONS.get(mime_type, OTHER_EXTENSION)
