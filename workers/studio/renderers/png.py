"""PNG bytes that depend on the pixels and the locked Pillow only.

zlib-ng, which Pillow brings, finds its matches by other routes on other CPUs; run lengths it finds only one way.
Grain leaves no longer matches to find, so `Z_RLE` costs a few per cent of size and saves most of the time.
"""

import io
import zlib
from collections.abc import Mapping

from PIL import Image, PngImagePlugin


def encode(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    """With `texts` as tEXt chunks, in order, so that a file says what made it."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "emprops")
    for key, value in texts.items():
        info.add_text(key, value)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=6, compress_type=zlib.Z_RLE, pnginfo=info)
    return out.getvalue()
