"""The built-in renderers: the same bytes for the same input on every machine; another picture for another hash."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.examples import examples
from tests.unit.workers.goldens import GOLDENS, HASH, golden_digests
from workers.studio.renderers import RENDERERS
from workers.studio.renderers.palette import PALETTES
from workers.studio.renderers.styles import STYLES


def sketch(generation_hash: str = HASH, **payload: Any) -> bytes:
    return RENDERERS["sketch"].render(generation_hash, {"width": 96, "height": 96, **payload}, {}).data


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    return image


def test_the_bytes_of_every_renderer_are_frozen() -> None:
    """A work that was sold can be made again: bytes change only with a new workflow version, and never by accident.

    They hold for the locked Pillow (its drawing, its FreeType and its zlib-ng); a numpy that follows IEEE 754 does not
    matter. A Pillow upgrade that changes one is a new version of the renderer, so it belongs in the changelog.
    """
    assert golden_digests() == GOLDENS


def test_another_cpu_makes_the_same_bytes() -> None:
    """Numpy picks its inner loops by CPU: with all of the newer ones switched off, not one bit differs."""
    extensions = np.show_config("dicts")["SIMD Extensions"]["found"]
    script = "import json; from tests.unit.workers.goldens import golden_digests; print(json.dumps(golden_digests()))"
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(extensions), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == GOLDENS


def test_another_hash_is_another_picture() -> None:
    assert len({sketch(f"{number:064x}", prompt="forest") for number in range(12)}) == 12


def test_hashes_of_one_prompt_spread_over_styles_and_palettes() -> None:
    texts = [opened(sketch(f"{number:064x}", prompt="x")).info for number in range(24)]
    assert len({text["style"] for text in texts}) >= 5
    assert len({text["palette"] for text in texts}) >= 5


def test_seed_and_prompt_are_part_of_what_is_drawn() -> None:
    assert len({sketch(prompt="a"), sketch(prompt="b"), sketch(prompt="a", seed=1), sketch(prompt="a", seed=2)}) == 4


def test_words_steer_the_palette() -> None:
    """Not always, or all cities would be neon; but more often than any other."""
    names = [opened(sketch(f"{number:064x}", prompt="neon city")).info["palette"] for number in range(16)]
    assert names.count("neon") > 4


@pytest.mark.parametrize("palette", [palette.name for palette in PALETTES])
def test_a_palette_asked_for_by_name_is_taken(palette: str) -> None:
    assert opened(sketch(prompt="x", palette=palette.upper())).info["palette"] == palette


@pytest.mark.parametrize("style", [style.name for style in STYLES])
def test_every_style_fills_any_size_exactly(style: str) -> None:
    for width, height in ((64, 64), (65, 131), (250, 67), (64, 640)):
        image = opened(sketch(prompt="x", style=style, width=width, height=height))
        assert image.size == (width, height)
        assert image.mode == "RGB"
        assert len(image.getcolors(2**24) or []) > 40, "a picture, not a plain sheet"


@examples(40)
@given(prompt=st.text(max_size=200), width=st.integers(64, 140), height=st.integers(64, 140), key=st.text(max_size=20))
def test_any_prompt_and_any_hash_give_a_picture_and_the_same_one_again(
    prompt: str, width: int, height: int, key: str
) -> None:
    payload = {"prompt": prompt, "width": width, "height": height}
    data = RENDERERS["sketch"].render(key, payload, {}).data
    assert data == RENDERERS["sketch"].render(key, payload, {}).data
    assert opened(data).size == (width, height)


@examples(200)
@given(prompt=st.text(max_size=400), key=st.text(max_size=70))
def test_any_prompt_has_a_caption_and_the_same_one_again(prompt: str, key: str) -> None:
    text = RENDERERS["caption"].render(key, {"prompt": prompt}, {})
    assert text == RENDERERS["caption"].render(key, {"prompt": prompt}, {})
    assert 10 < len(text) < 800
    assert "\x00" not in text


def test_a_caption_quotes_the_prompt_and_never_reads_it_as_grammar() -> None:
    texts = [RENDERERS["caption"].render(f"{n:064x}", {"prompt": "{close} {mark}"}, {}) for n in range(30)]
    assert any("{close} {mark}" in text for text in texts)
    assert len(set(texts)) > 25


def test_a_frame_goes_around_the_picture_and_leaves_it_as_it_was() -> None:
    inner = opened(sketch(prompt="x", width=300, height=260))
    buffer = io.BytesIO()
    inner.save(buffer, "PNG")
    framed = opened(RENDERERS["frame"].render(HASH, {"title": "Harbour"}, {"image": buffer.getvalue()}).data)
    left = (framed.width - inner.width) // 2
    assert framed.width > inner.width
    assert framed.height > inner.height
    assert framed.crop((left, left, left + inner.width, left + inner.height)).tobytes() == inner.tobytes()


@examples(30)
@given(title=st.text(max_size=120))
def test_any_title_can_be_framed(title: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (90, 120, 140)).save(buffer, "PNG")
    first = RENDERERS["frame"].render(HASH, {"title": title}, {"image": buffer.getvalue()}).data
    assert first == RENDERERS["frame"].render(HASH, {"title": title}, {"image": buffer.getvalue()}).data


@pytest.mark.parametrize(
    ("mode", "form", "size"),
    [("L", "PNG", (300, 200)), ("RGBA", "PNG", (120, 300)), ("P", "PNG", (1, 1)), ("CMYK", "JPEG", (500, 400)),
     ("RGB", "WEBP", (3000, 40)), ("I;16", "PNG", (64, 64)), ("LA", "PNG", (50, 50)), ("1", "PNG", (70, 20))],
)  # fmt: skip
def test_pictures_of_every_mode_and_shape_are_framed(mode: str, form: str, size: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    framed = opened(RENDERERS["frame"].render(HASH, {}, {"image": buffer.getvalue()}).data)
    assert max(framed.size) < 4000


def test_digest_helper_covers_every_renderer_and_style() -> None:
    assert set(GOLDENS) == {f"sketch {style.name}" for style in STYLES} | {"frame", "caption"}
    assert len({hashlib.sha256(value.encode()).hexdigest() for value in GOLDENS.values()}) == len(GOLDENS)
