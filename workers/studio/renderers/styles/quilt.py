"""Quilt: a square divided into squares, unevenly, each filled with arcs, wedges, bars or a dot, as a printed poster."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workers.studio.renderers.canvas import Canvas, Sheet
from workers.studio.renderers.exact import cosine, sine
from workers.studio.renderers.palette import RGB
from workers.studio.renderers.stream import Stream


@dataclass(frozen=True)
class Tile:
    """A square at `x`, `y` (upper left) of side `s`, in units, its colours, and the corner that it turns to."""

    sheet: Sheet
    stream: Stream
    x: float
    y: float
    s: float
    ground: RGB
    one: RGB
    two: RGB
    corner: int
    """0 upper left, then clockwise."""

    @property
    def corners(self) -> list[tuple[float, float]]:
        x, y, s = self.x, self.y, self.s
        return [(x, y), (x + s, y), (x + s, y + s), (x, y + s)]

    @property
    def start(self) -> int:
        """Where a quarter around the corner begins, in degrees clockwise from three o'clock."""
        return self.corner * 90


def quarter(tile: Tile) -> None:
    corner = tile.corners[tile.corner]
    tile.sheet.slice(*corner, tile.s, tile.start, tile.start + 90, tile.one)
    if tile.stream.chance(0.6):
        tile.sheet.slice(*corner, tile.s * 0.5, tile.start, tile.start + 90, tile.two)


def rainbow(tile: Tile) -> None:
    bands = (tile.one, tile.ground, tile.two, tile.ground, tile.one)
    for band, colour in enumerate(bands):
        radius = tile.s * (1 - band / len(bands))
        tile.sheet.slice(*tile.corners[tile.corner], radius, tile.start, tile.start + 90, colour)


def leaf(tile: Tile) -> None:
    """Where the quarter discs around two opposite corners meet."""
    angle = np.arange(25) / 96
    c, s = cosine(angle) * tile.s, sine(angle) * tile.s
    left, right, top, bottom = tile.x, tile.x + tile.s, tile.y, tile.y + tile.s
    if tile.corner % 2:
        arcs = np.stack([left + c, top + s], axis=1), np.stack([right - c, bottom - s], axis=1)
    else:
        arcs = np.stack([right - c, top + s], axis=1), np.stack([left + c, bottom - s], axis=1)
    tile.sheet.polygon(np.concatenate(arcs), tile.one)
    if tile.stream.chance(0.3):
        tile.sheet.dot(left + tile.s / 2, top + tile.s / 2, tile.s * 0.11, tile.two)


def half(tile: Tile) -> None:
    x, y, s = tile.x, tile.y, tile.s
    edge = [(x + s / 2, y), (x + s, y + s / 2), (x + s / 2, y + s), (x, y + s / 2)][tile.corner]
    tile.sheet.slice(*edge, s / 2, tile.start, tile.start + 180, tile.one)
    if tile.corner < 2 and tile.stream.chance(0.5):
        tile.sheet.slice(x + s / 2, y + s / 2, s / 2, tile.start, tile.start + 180, tile.two)


def disc(tile: Tile) -> None:
    middle = tile.x + tile.s / 2, tile.y + tile.s / 2
    tile.sheet.dot(*middle, tile.s / 2, tile.one)
    if tile.stream.chance(0.7):
        tile.sheet.dot(*middle, tile.s * tile.stream.pick([0.16, 0.25, 0.34]), tile.two)


def bars(tile: Tile) -> None:
    x, y, s = tile.x, tile.y, tile.s
    count = tile.stream.pick([3, 4, 5])
    for bar in range(count):
        low, high = s * bar / count, s * (bar + 0.5) / count
        if tile.corner % 2:
            tile.sheet.box(x + low, y, x + high, y + s, tile.one)
        else:
            tile.sheet.box(x, y + low, x + s, y + high, tile.one)


def wedge(tile: Tile) -> None:
    tile.sheet.polygon(np.array([tile.corners[(tile.corner + k) % 4] for k in (0, 1, 3)]), tile.one)


def dots(tile: Tile) -> None:
    third = tile.s / 3
    for row in range(3):
        for column in range(3):
            tile.sheet.dot(tile.x + third * (column + 0.5), tile.y + third * (row + 0.5), tile.s * 0.095, tile.one)


def plain(tile: Tile) -> None:
    tile.sheet.box(tile.x, tile.y, tile.x + tile.s, tile.y + tile.s, tile.one)


FORMS: tuple[Callable[[Tile], None], ...] = (quarter, rainbow, leaf, half, disc, bars, wedge, dots)


def cells(
    stream: Stream, left: float, top: float, side: float, depth: int, split: float
) -> Iterator[tuple[float, float, float]]:
    """Left, top and side of the squares that a square is divided into."""
    if depth > 0 and stream.chance(split):
        half_side = side / 2
        for dy in (0.0, half_side):
            for dx in (0.0, half_side):
                yield from cells(stream, left + dx, top + dy, half_side, depth - 1, split * 0.62)
    else:
        yield left, top, side


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    sheet = Sheet(canvas, palette.paper)
    across = stream.pick([2, 3, 4, 5]) if canvas.density < 0.5 else stream.pick([4, 5, 6])
    margin = stream.pick([0.07, 0.1])
    half_width, half_height = canvas.reach
    side = (1 - 2 * margin) / across
    columns, rows = (int((2 * reach - 2 * margin) / side + 1e-6) for reach in (half_width, half_height))
    some = [FORMS[i] for i in stream.order(len(FORMS))][: stream.integer(3, 5)]
    forms = [*some, quarter, plain]
    colours = [*palette.colours, palette.ink]
    split = 0.35 + 0.5 * canvas.energy
    for row in range(rows):
        for column in range(columns):
            left, top = (column - columns / 2) * side, (row - rows / 2) * side
            for x, y, s in cells(stream, left, top, side, 3 if across < 4 else 2, split):
                zero, one, two = (colours[i] for i in stream.order(len(colours))[:3])
                ground = palette.paper if stream.chance(0.3) else zero
                sheet.box(x, y, x + s, y + s, ground)
                form = stream.pick(forms)
                form(Tile(sheet, stream, x, y, s, ground, one, two, stream.integer(0, 3)))
    return sheet.finished()
