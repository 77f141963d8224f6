"""Inputs that no attempt will make right are refused: with a code, the pointer of the field, and a sentence."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from workers.studio.renderers import RENDERERS
from workers.studio.renderers.fields import Refused


@pytest.mark.parametrize(
    ("service", "payload", "pointer"),
    [
        ("sketch", {"prompt": {"type": "doc"}}, "/prompt"),
        ("sketch", {"prompt": "x" * 4001}, "/prompt"),
        ("sketch", {"width": 63}, "/width"),
        ("sketch", {"width": 2049}, "/width"),
        ("sketch", {"height": "tall"}, "/height"),
        ("sketch", {"height": 100.5}, "/height"),
        ("sketch", {"height": True}, "/height"),
        ("sketch", {"height": float("inf")}, "/height"),
        ("sketch", {"seed": -2}, "/seed"),
        ("sketch", {"palette": ["kiln"]}, "/palette"),
        ("sketch", {"style": "cubism"}, "/style"),
        ("caption", {"prompt": ["a"]}, "/prompt"),
        ("caption", {"tone": "angry"}, "/tone"),
        ("frame", {"title": "x" * 301}, "/title"),
    ],
)
def test_a_wrong_field_is_named(service: str, payload: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Refused) as refused:
        RENDERERS[service].render("00", payload, {"image": b""})
    assert refused.value.code == "VALIDATION_FAILED"
    assert refused.value.message.startswith(f"{pointer}: ")


def png_header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def refused_image(data: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        RENDERERS["frame"].render("00", {"title": "x"}, {"image": data})
    return refused.value


@pytest.mark.parametrize("size", [(8000, 6000), (60000, 60000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(size: tuple[int, int]) -> None:
    assert refused_image(png_header_only(*size)).code == "PAYLOAD_TOO_LARGE"


def valid_png() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg/>",
        b"GIF89a" + b"\0" * 40,
        valid_png()[:200],
        png_header_only(64, 64),
        b"\xff\xd8\xff\xe0ab",
    ],
    ids=["empty", "text", "svg", "gif", "truncated", "no pixels", "broken jpeg"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    refused = refused_image(data)
    assert refused.code == "INPUT_INVALID"
    assert refused.message.startswith("/image: ")
