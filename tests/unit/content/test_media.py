"""Files' kinds by their bytes, and the mime types that these can have."""

import io

import pytest
from PIL import Image

from shared.content.media import EMPTY, EXTENSIONS, SVG, TEXT, UNKNOWN, extension, fits, kind_of


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_pictures_as_a_library_writes_them_are_told_by_their_bytes(form: str):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, form)
    kind = kind_of(file.getvalue())
    assert kind == f"image/{form.lower()}"
    assert [mime_type for mime_type in EXTENSIONS if fits(mime_type, kind)] == [kind]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"", EMPTY),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", UNKNOWN),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01", "video/webm"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90d", "audio/mpeg"),
        (b"\xff\xfea\0b\0", UNKNOWN),
        (b"OggS\0\x02", "audio/ogg"),
        (b"glTF\x02\0\0\0", "model/gltf-binary"),
        (b"%PDF-1.7", "application/pdf"),
        (b'<?xml version="1.0"?><!-- a tide --><svg xmlns="x">', SVG),
        (b'<ns0:svg xmlns:ns0="x">', SVG),
        (b"<!doctype html><p>tide", TEXT),
        (b"flut" + "é".encode()[:1], TEXT),
        (b"tide\0", UNKNOWN),
        (b"\x80tide", UNKNOWN),
    ],
)
def test_a_kind_is_told_by_the_first_bytes(start: bytes, kind: str):
    assert kind_of(start) == kind


@pytest.mark.parametrize(
    ("mime_type", "kind", "answer"),
    [
        ("image/png", "image/jpeg", False),
        ("image/png", EMPTY, False),
        ("IMAGE/PNG; x=1", "image/png", True),
        ("image/svg+xml", TEXT, False),
        ("text/html", SVG, True),
        ("text/plain; charset=utf-8", TEXT, True),
        ("text/plain", "image/png", False),
        ("application/json", TEXT, True),
        ("video/quicktime", "video/mp4", True),
        ("audio/x-wav", "audio/wav", True),
        ("audio/mpeg", UNKNOWN, True),
        ("application/octet-stream", "image/png", True),
        ("application/x-tide", UNKNOWN, True),
    ],
)
def test_a_type_fits_its_kind_and_types_that_are_not_known_are_not_judged(mime_type: str, kind: str, *, answer: bool):
    assert fits(mime_type, kind) is answer


def test_types_that_are_not_known_have_one_extension():
    assert (extension("image/jpeg"), extension("application/x-tide")) == ("jpg", "bin")
