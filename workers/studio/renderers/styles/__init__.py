"""The styles of `sketch`, each a function from a canvas to a picture, with the words that ask for it."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from workers.studio.renderers.canvas import Canvas
from workers.studio.renderers.styles import (
    attractor,
    aura,
    current,
    papercut,
    pebbles,
    quilt,
    ridges,
    silk,
    threads,
)


@dataclass(frozen=True)
class Style:
    name: str
    draw: Callable[[Canvas], Image.Image]
    words: frozenset[str]
    grain: float
    """Of the film that the picture is printed on, in steps of 255."""
    bleeds: bool = False
    """It fills the sheet to the edges, so a window may be cut around it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STYLES: tuple[Style, ...] = (
    Style(
        "current",
        current.draw,
        _words("river wind hair flow current stream grass field dance movement music fur feather comet"),
        grain=5,
    ),
    Style(
        "papercut",
        papercut.draw,
        _words("paper cave canyon map island layer depth topographic cut collage valley well reef stone"),
        grain=5,
        bleeds=True,
    ),
    Style(
        "ridges",
        ridges.draw,
        _words("mountain landscape hill horizon sunset sunrise dawn dusk moon sun sky desert fog dune night"),
        grain=7,
        bleeds=True,
    ),
    Style(
        "attractor",
        attractor.draw,
        _words("cosmic galaxy chaos smoke spirit ghost space universe math abstract nebula angel insect wing"),
        grain=4,
    ),
    Style(
        "silk",
        silk.draw,
        _words("silk water ocean wave liquid marble cloth fabric oil paint dream fire flame portrait sea lava"),
        grain=5,
        bleeds=True,
    ),
    Style(
        "pebbles",
        pebbles.draw,
        _words("pebble stone bubble planet cell dot circle eye garden fruit playful party animal cat toy candy"),
        grain=5,
    ),
    Style(
        "quilt",
        quilt.draw,
        _words("geometric geometry pattern quilt city building tile poster house architecture robot grid bauhaus"),
        grain=6,
    ),
    Style(
        "aura",
        aura.draw,
        _words("aura light glow soul love portrait face minimal meditation gradient warm heart soft sun orb"),
        grain=13,
        bleeds=True,
    ),
    Style(
        "threads",
        threads.draw,
        _words("sound signal thread line radio noise pulse pulsar topography storm machine data voice echo"),
        grain=4,
    ),
)

BY_NAME = {style.name: style for style in STYLES}
