"""Pebbles: discs packed until nothing more fits, each with a face of its own: rings, halves, hatching, dots."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from workers.studio.renderers.canvas import Canvas, Sheet
from workers.studio.renderers.exact import cosine, sine, turn
from workers.studio.renderers.noise import fractal
from workers.studio.renderers.palette import RGB, mix
from workers.studio.renderers.stream import Stream

Discs = npt.NDArray[np.float64]
"""(n, 3) of x, y, radius in units."""


def pack(canvas: Canvas, stream: Stream) -> Discs:
    """Greedy: each of many places gets the biggest disc that its neighbours, the margin and its size class leave."""
    half_width, half_height = canvas.reach
    margin = stream.pick([0.05, 0.08, 0.12])
    form = stream.pick(["sheet", "disc", "drift"], [3, 3, 2])
    largest = stream.between(0.11, 0.24) * (1.2 - 0.4 * canvas.density)
    gap = stream.pick([0.0, 0.003, 0.008])
    tries = int(4000 + 3500 * canvas.density)
    place = (stream.floats(tries, 2) * 2 - 1) * np.array([half_width - margin, half_height - margin])
    sizes = stream.floats(tries)
    drift = fractal(stream.named("drift"), (48, 48), 1.5, octaves=1)
    discs = np.empty((tries, 3))
    count = 0
    for index in range(tries):
        x, y = place[index]
        room = min(half_width - margin - abs(x), half_height - margin - abs(y))
        if form == "disc":
            room = min(room, 0.5 - margin - float(np.sqrt(x * x + y * y)))
        classes = largest if index < 60 else largest * (0.07 + 0.55 * sizes[index] * sizes[index])
        if form == "drift":
            v, u = int(np.clip((y + 0.5) * 48, 0, 47)), int(np.clip((x + 0.5) * 48, 0, 47))
            classes *= float(np.clip(0.65 + drift[v, u], 0.12, 1.4))
        placed = discs[:count]
        dx, dy = placed[:, 0] - x, placed[:, 1] - y
        if count:
            room = min(room, float((np.sqrt(dx * dx + dy * dy) - placed[:, 2]).min()) - gap)
        radius = min(room, classes)
        if radius > max(0.0045, 0.25 * classes if index < 60 else 0.0):
            discs[count] = x, y, radius
            count += 1
    return discs[:count]


@dataclass(frozen=True)
class Pebble:
    sheet: Sheet
    stream: Stream
    x: float
    y: float
    r: float
    one: RGB
    two: RGB
    three: RGB
    tilt: float
    """In turns."""


def rings(pebble: Pebble) -> None:
    count = pebble.stream.integer(2, max(2, min(7, int(pebble.r / 0.011))))
    colours = (pebble.two, pebble.one, pebble.three, pebble.one) if count > 4 else (pebble.two, pebble.one)
    for ring in range(1, count + 1):
        pebble.sheet.dot(pebble.x, pebble.y, pebble.r * (1 - ring / (count + 1)), colours[(ring - 1) % len(colours)])


def half(pebble: Pebble) -> None:
    start = pebble.tilt * 360 + pebble.stream.pick([0, 90, 180, 270])
    pebble.sheet.slice(pebble.x, pebble.y, pebble.r, start, start + 180, pebble.two)
    if pebble.stream.chance(0.4):
        pebble.sheet.dot(pebble.x, pebble.y, pebble.r * 0.42, pebble.three)


def spokes(pebble: Pebble) -> None:
    for spoke in range(0, 360, 60):
        start = spoke + pebble.tilt * 360
        pebble.sheet.slice(pebble.x, pebble.y, pebble.r, start, start + 30, pebble.two)
    pebble.sheet.dot(pebble.x, pebble.y, pebble.r * 0.3, pebble.one)


def dots(pebble: Pebble) -> None:
    rows = max(1, min(4, int(pebble.r / 0.02)))
    size = pebble.r * 0.24 / rows
    pebble.sheet.dot(pebble.x, pebble.y, size, pebble.two)
    for ring in range(1, rows + 1):
        angles = np.arange(6 * ring) / (6 * ring) + pebble.tilt
        distance = pebble.r * 0.82 * ring / rows
        for c, s in zip(cosine(angles).tolist(), sine(angles).tolist(), strict=True):
            pebble.sheet.dot(pebble.x + c * distance, pebble.y + s * distance, size, pebble.two)


def eye(pebble: Pebble) -> None:
    x, y, r = pebble.x, pebble.y, pebble.r
    ux, uy = turn(pebble.tilt)
    pebble.sheet.dot(x + ux * r * 0.22, y + uy * r * 0.22, r * 0.72, pebble.two)
    pebble.sheet.dot(x + ux * r * 0.42, y + uy * r * 0.42, r * 0.40, pebble.three)


def moon(pebble: Pebble) -> None:
    x, y, r = pebble.x, pebble.y, pebble.r
    ux, uy = turn(pebble.tilt + 0.25)
    pebble.sheet.dot(x + ux * r * 0.30, y + uy * r * 0.30, r * 0.68, pebble.two)


FACES: tuple[tuple[Callable[[Pebble], None] | None, float], ...] = (
    (None, 3),
    (rings, 3),
    (half, 3),
    (spokes, 1.5),
    (dots, 1.5),
    (eye, 2),
    (moon, 1.5),
)


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    ground = stream.pick([palette.paper, palette.paper, mix(palette.paper, palette.colours[0], 0.9)])
    sheet = Sheet(canvas, ground)
    discs = pack(canvas, stream.named("pack"))
    colours = [c for c in (*palette.colours, palette.ink, palette.paper) if c != ground]
    faces = stream.named("faces")
    tilt = stream.between(0, 1)
    turning = stream.pick([0.0, 0.0, 0.35])
    for x, y, radius in discs.tolist():
        one, two, three = (colours[i] for i in faces.order(len(colours))[:3])
        sheet.dot(x, y, radius, one)
        face = faces.pick(*zip(*FACES, strict=True))
        if face is not None and radius > 0.012:
            face(Pebble(sheet, faces, x, y, radius, one, two, three, tilt + turning * x))
    return sheet.finished()
