"""Smaller copies of images: their sizes, and what is not decoded."""

import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from services.storage.scaling.pictures import MAX_PIXELS, scaled


def file_of(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_copies_fit_into_their_squares_and_keep_the_proportions(form: str):
    picture = scaled(file_of(Image.new("RGB", (3000, 1500), "teal"), form))
    assert picture is not None
    assert (picture.width, picture.height) == (3000, 1500)
    sizes = {kind: (copy.width, copy.height) for kind, copy in picture.copies.items()}
    assert sizes == {"display": (1000, 500), "thumbnail": (350, 175)}
    for copy in picture.copies.values():
        image = opened(copy.content)
        assert (image.format, image.size) == ("WEBP", (copy.width, copy.height))


def test_a_small_image_keeps_its_size_and_its_transparency():
    picture = scaled(file_of(Image.new("RGBA", (64, 48), (255, 0, 0, 128)), "PNG"))
    assert picture is not None
    assert {(copy.width, copy.height) for copy in picture.copies.values()} == {(64, 48)}
    assert opened(picture.copies["display"].content).getpixel((1, 1))[3] == 128


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("white", "black")]
    picture = scaled(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture is not None
    assert min(opened(picture.copies["thumbnail"].content).convert("RGB").getpixel((20, 20))) > 200


def test_a_photograph_is_as_it_is_shown():
    """The camera was turned by 90 degrees: EXIF's orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = scaled(file_of(Image.new("RGB", (400, 200), "teal"), "JPEG", exif=exif))
    assert picture is not None
    assert (picture.width, picture.height) == (200, 400)
    assert (picture.copies["display"].width, picture.copies["display"].height) == (200, 400)


def test_the_same_image_gives_the_same_bytes():
    content = file_of(Image.radial_gradient("L"), "PNG")
    assert scaled(content) == scaled(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        file_of(Image.new("RGB", (50, 50), "teal"), "BMP"),
        file_of(Image.radial_gradient("L"), "PNG")[:200],
        b"\x00\x00\x00\x20ftypisom" + bytes(100),
    ],
    ids=["nothing", "a text", "a drawing", "another format", "cut off", "a film"],
)
def test_what_can_not_be_decoded_has_no_copies(content: bytes):
    assert scaled(content) is None


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
@given(data=st.data())
def test_no_damage_ends_the_decoder_with_an_error(form: str, data: st.DataObject):
    """Bytes that differ anywhere, and an end that comes too early."""
    content = bytearray(file_of(Image.radial_gradient("L").resize((24, 16)), form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    picture = scaled(bytes(content[: data.draw(st.integers(1, len(content)))]))
    assert picture is None or set(picture.copies) == {"display", "thumbnail"}


def test_an_image_of_more_pixels_than_are_decoded_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch):
    """A file of some kilobytes, which would take gigabytes as pixels."""
    bomb = bytearray(file_of(Image.new("1", (8, 8)), "PNG"))
    side = int(MAX_PIXELS**0.5) + 1
    bomb[16:24] = side.to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    monkeypatch.setattr(ImageOps, "exif_transpose", lambda _: pytest.fail("it was decoded"))
    assert scaled(bytes(bomb)) is None
