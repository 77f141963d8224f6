"""The arithmetic that renderers stand on is right, besides being the same everywhere."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.studio.renderers.exact import cosine, cube_root, sine, smoothstep
from workers.studio.renderers.palette import PALETTES, chain, gradient, mix
from workers.studio.renderers.stream import Stream


def test_sine_and_cosine_of_turns() -> None:
    turns = np.linspace(-3, 3, 20_001)
    assert np.abs(sine(turns) - np.sin(2 * math.pi * turns)).max() < 2e-4
    assert np.abs(cosine(turns) - np.cos(2 * math.pi * turns)).max() < 2e-4


@given(st.floats(0, 1))
def test_cube_root(value: float) -> None:
    assert math.isclose(cube_root(value) ** 3, value, rel_tol=1e-9, abs_tol=1e-9)


def test_smoothstep_rises_from_none_to_all() -> None:
    assert smoothstep(2.0, 4.0, np.array([0.0, 2.0, 3.0, 4.0, 9.0])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_a_gradient_begins_and_ends_with_its_own_colours() -> None:
    for palette in PALETTES:
        ramp = gradient(palette.colours)
        assert tuple(ramp[0]) == palette.colours[0]
        assert tuple(ramp[-1]) == palette.colours[-1]


def test_mixing_none_changes_nothing() -> None:
    for palette in PALETTES:
        assert all(mix(colour, palette.ink, 0.0) == colour for colour in palette.colours)


def test_a_chain_has_every_colour_once() -> None:
    for palette in PALETTES:
        assert sorted(chain(palette.colours)) == sorted(palette.colours)


def test_named_streams_do_not_depend_on_each_other() -> None:
    alone = Stream.of("work").named("second").floats(5).tolist()
    stream = Stream.of("work")
    stream.named("first").floats(100)
    stream.floats(3)
    assert stream.named("second").floats(5).tolist() == alone


def test_texts_are_told_apart_however_they_are_cut() -> None:
    assert Stream.of("ab", "c").floats(1) != Stream.of("a", "bc").floats(1)


def test_raw_bits_of_a_stream_are_frozen() -> None:
    """Every work ever made hangs on these."""
    assert Stream.of("emprops").floats(3).tolist() == FROZEN


FROZEN = [0.4352547527615305, 0.35654743643074804, 0.26982115846320265]
