"""Palettes chosen by eye, and gradients through them in OKLab (Björn Ottosson, 2020)."""

import math
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt

from workers.studio.renderers.exact import cube_root

RGB = tuple[int, int, int]


def rgb(text: str) -> RGB:
    """Of `#rrggbb`."""
    value = int(text.removeprefix("#"), 16)
    return value >> 16 & 255, value >> 8 & 255, value & 255


@dataclass(frozen=True)
class Palette:
    """`paper` is the ground, `ink` what reads on it, `colours` go together in any number, in this order or another."""

    name: str
    paper: RGB
    ink: RGB
    colours: tuple[RGB, ...]
    words: tuple[str, ...]
    """What in a prompt asks for it."""

    @property
    def dark(self) -> bool:
        return sum(self.paper) < 3 * 100


def _palette(name: str, paper: str, ink: str, colours: str, words: str) -> Palette:
    return Palette(name, rgb(paper), rgb(ink), tuple(rgb(c) for c in colours.split()), tuple(words.split()))


PALETTES: tuple[Palette, ...] = (
    _palette("kiln", "#f3e9dc", "#2b1d17", "#c8553d #f28f3b #ffd5a1 #588b8b #24343a",
             "warm fire clay terracotta rust red autumn fall brick lava copper"),
    _palette("tideline", "#eef1ec", "#10222e", "#0b3c5d #1d7a8c #7fc8c2 #f2d6a2 #e2725b",
             "sea ocean wave waves water beach coast tide marine teal summer island fish whale"),
    _palette("moss", "#f0ede0", "#1d2b1f", "#2f4a36 #5f7f4f #a7b874 #e3d59b #b5651d",
             "forest moss green garden nature leaf leaves tree trees jungle fern meadow spring plant"),
    _palette("nocturne", "#0e1220", "#f0e6d2", "#1e2a4a #3d5a98 #8fb3d9 #f4c97b #d96c5f",
             "night moon star stars starry midnight sky dream sleep lantern nocturne city"),
    _palette("neon", "#0b0714", "#f7f2ff", "#ff2e88 #7a2cff #16e0ff #ffd23f #2a0d52",
             "neon cyberpunk cyber synthwave vaporwave electric laser arcade robot future futuristic club glow"),
    _palette("sakura", "#faf1ee", "#3a2430", "#e9a6b3 #d46a84 #7d3f5c #b9c7a3 #f4d9c6",
             "pink blossom sakura flower flowers rose petal love soft portrait girl woman skin romantic"),
    _palette("bauhaus", "#f2eadb", "#17171a", "#d62828 #f4b41a #1d4e89 #17171a #dccfb4",
             "bauhaus poster primary modernist constructivist geometry geometric mondrian bold graphic"),
    _palette("mesa", "#f8ead5", "#3b2419", "#d9814e #e8b06a #b5543c #7c8c7a #44546a",
             "desert mesa sand dune canyon dust sahara west cactus sun sunset dusk savanna"),
    _palette("glacier", "#f4f8f9", "#13242f", "#d3e5ea #9cc3cf #5a93a9 #2c5d7a #f0b794",
             "ice snow winter glacier cold frost mountain mountains alpine arctic white mist fog cloud clouds"),
    _palette("orchard", "#f6f0dc", "#2a2413", "#b83b2e #e2843b #f2c14e #6d8b3c #33512f",
             "fruit orchard harvest apple farm picnic food joy happy folk village market"),
    _palette("violet hour", "#191127", "#f6e8dd", "#4b2e6f #8a4f9e #d98aa8 #f5c6a5 #2a6f8f",
             "violet purple twilight magic mystic fantasy cosmic galaxy nebula space universe witch spell"),
    _palette("graphite", "#f4f2ee", "#1a1a1a", "#2b2b2b #6b6b68 #a8a59f #d6d2ca #c0392b",
             "black monochrome minimal ink graphite charcoal noir pencil sketch brutalist concrete architecture"),
    _palette("verdigris", "#0d1f1e", "#eee3c8", "#14504a #2f8f7f #93cdb5 #e3b65b #b5562e",
             "emerald verdigris jade deep ancient dragon temple serpent swamp aurora underwater abyss"),
    _palette("riso", "#f5f1e6", "#22306b", "#ff4c5b #3255a4 #ffb511 #00a95c #f7c6d0",
             "riso print zine playful toy comic pop party candy child cartoon colorful colourful rainbow"),
    _palette("indigo", "#f1ece1", "#14213d", "#14213d #27477a #5b83b5 #b9cde0 #d8a25e",
             "blue indigo denim rain river lake japan japanese ukiyo porcelain calm quiet melancholy"),
    _palette("obsidian", "#0f0e0d", "#f2e7cf", "#3a322a #7d6743 #c9a24f #f0dca3 #8c3f2c",
             "gold golden obsidian luxury baroque royal king queen treasure elegant deco opera dark"),
    _palette("lagoon", "#fdf6e9", "#16313a", "#00798c #30b5ac #edae49 #d1495b #2e4057",
             "lagoon tropical palm coral reef parrot holiday surf pool bright vivid fresh"),
    _palette("ash rose", "#231c1f", "#f1e4dc", "#6b4a51 #a8717a #d9a79c #efd6c2 #57707a",
             "ash smoke ruin memory ghost sad sorrow wine velvet old vintage film cinema cinematic"),
)  # fmt: skip

BY_NAME = {palette.name: palette for palette in PALETTES}


def _linear(channel: float) -> float:
    """From sRGB to linear light; the exponent 2.4 as x²·x^0.4 with 0.4 ≈ by roots: x^2.4 = x² · (x²)^(1/5)."""
    if channel <= 0.04045:
        return channel / 12.92
    base = (channel + 0.055) / 1.055
    square = base * base
    fifth = 0.5 + square * 0.5
    for _ in range(60):
        fifth -= (fifth * fifth * fifth * fifth * fifth - square) / (5.0 * fifth * fifth * fifth * fifth)
    return square * fifth


_LINEAR = tuple(_linear(i / 255.0) for i in range(256))
_EDGES = np.array([(_LINEAR[i] + _LINEAR[i + 1]) / 2.0 for i in range(255)])


def oklab(colour: RGB) -> tuple[float, float, float]:
    r, g, b = (_LINEAR[c] for c in colour)
    long = cube_root(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = cube_root(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = cube_root(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Rows of OKLab to sRGB 0 to 255, whole numbers."""
    light, a, b = lab[:, 0], lab[:, 1], lab[:, 2]
    long = light + 0.3963377774 * a + 0.2158037573 * b
    medium = light - 0.1055613458 * a - 0.0638541728 * b
    short = light - 0.0894841775 * a - 1.2914855480 * b
    long, medium, short = long * long * long, medium * medium * medium, short * short * short
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=1,
    )
    return np.searchsorted(_EDGES, linear).astype(np.float32)


def gradient(colours: tuple[RGB, ...] | list[RGB], steps: int = 1024) -> npt.NDArray[np.float32]:
    """(steps, 3) of sRGB 0 to 255, evenly through the colours, mixed in OKLab."""
    stops = np.array([oklab(c) for c in colours])
    if len(stops) == 1:
        stops = np.repeat(stops, 2, axis=0)
    position = np.arange(steps) * ((len(stops) - 1) / (steps - 1))
    first = np.minimum(position.astype(np.intp), len(stops) - 2)
    t = (position - first)[:, None]
    return _from_oklab(stops[first] + (stops[first + 1] - stops[first]) * t)


def mix(one: RGB, other: RGB, amount: float) -> RGB:
    """`amount` of `other` in `one`, 0 to 1, by eye rather than by light."""
    a, b = oklab(one), oklab(other)
    lab = np.array([[p + (q - p) * amount for p, q in zip(a, b, strict=True)]])
    r, g, b_ = (int(v) for v in _from_oklab(lab)[0])
    return r, g, b_


def chain(colours: tuple[RGB, ...]) -> list[RGB]:
    """All of them, in the order whose mixtures between neighbours lose least of their colour."""
    labs = [oklab(c) for c in colours]

    def loss(one: int, other: int) -> float:
        a, b = labs[one], labs[other]
        middle = [(p + q) / 2 for p, q in zip(a, b, strict=True)]
        chroma = [float(np.sqrt(c[1] * c[1] + c[2] * c[2])) for c in (a, b, middle)]
        step = abs(a[0] - b[0])
        return (chroma[0] + chroma[1]) / 2 - chroma[2] + 0.10 * step

    between = [[loss(i, j) for j in range(len(labs))] for i in range(len(labs))]
    best = min(permutations(range(len(labs))), key=lambda order: math.fsum(between[i][j] for i, j in pairwise(order)))
    return [colours[i] for i in best]


def lightness(colour: RGB) -> float:
    """OKLab's L, 0 black to 1 white."""
    return oklab(colour)[0]
