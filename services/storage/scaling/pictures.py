"""Decodes an image and makes smaller copies of it as WebP. Pure; the caller runs it in a thread.

A decoder is given only formats of EXTENSIONS that Pillow decodes itself, and only images whose header states at most
MAX_PIXELS: a small file can be an image of many gigabytes. Of an animation, the first frame is taken.
"""

import io
from typing import NamedTuple

from PIL import Image, ImageOps

from shared.contracts.storage import RenditionKind

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
MAX_PIXELS = 40_000_000
"""Of an image that is decoded: 160 MB in memory."""
SIDES: dict[RenditionKind, int] = {"display": 1000, "thumbnail": 350}
"""Pixels of the longer side at most. A smaller image keeps its size."""
QUALITY = 82


class Copy(NamedTuple):
    """A smaller copy as a file, with its size in pixels."""

    content: bytes
    width: int
    height: int


class Picture(NamedTuple):
    """An image's size in pixels, as it is shown, and its smaller copies."""

    width: int
    height: int
    copies: dict[RenditionKind, Copy]


def scaled(content: bytes) -> Picture | None:
    """The size and the copies of an image; None if it is of another format, too large, or damaged."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            width, height = image.size
            image.draft("RGB", (2 * SIDES["display"],) * 2)  # JPEG only: decodes fewer pixels
            frame = ImageOps.exif_transpose(image)
            if frame.size != image.size:
                width, height = height, width
            frame = frame.convert("RGBA" if frame.has_transparency_data else "RGB")
        copies = {}
        for kind, side in SIDES.items():
            frame.thumbnail((side, side), Image.Resampling.LANCZOS)
            copies[kind] = _webp(frame)
    except Exception:  # noqa: BLE001 - decoders raise errors of many types for damaged files
        return None
    return Picture(width, height, copies)


def _webp(frame: Image.Image) -> Copy:
    buffer = io.BytesIO()
    frame.save(buffer, "WEBP", quality=QUALITY, method=4)
    return Copy(buffer.getvalue(), frame.width, frame.height)
