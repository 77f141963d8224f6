"""Papercut: sheets of coloured paper cut along the contours of one hilly field, stacked, each casting its shadow."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from workers.studio.renderers.canvas import Canvas, to_image
from workers.studio.renderers.exact import Field, turn
from workers.studio.renderers.noise import enlarge, fractal, grid
from workers.studio.renderers.palette import RGB, gradient
from workers.studio.renderers.stream import Stream

Plane = npt.NDArray[np.uint8]


def heights(canvas: Canvas, stream: Stream, shape: tuple[int, int]) -> Field:
    """The field to be cut: a well that opens to its middle, a valley, or open hills."""
    y, x = grid(shape)
    form = stream.pick(["well", "valley", "hills", "island"], [4, 2, 3, 2])
    wild = np.float32(0.14 + 0.20 * canvas.energy)
    field = fractal(stream.named("hills"), shape, stream.between(1.5, 3.2), octaves=3, gain=0.38) * wild
    cx, cy = stream.between(-0.16, 0.16), stream.between(-0.16, 0.16)
    squash = stream.between(0.75, 1.3)
    if form in ("well", "island"):
        distance = np.sqrt((x - cx) * (x - cx) * np.float32(squash) + (y - cy) * (y - cy) / np.float32(squash))
        return field + distance * np.float32(1.5 if form == "well" else -1.5)
    if form == "valley":
        ux, uy = turn(stream.between(0, 1))
        along = x * np.float32(ux) + y * np.float32(uy)
        return field + np.abs(along) * np.float32(1.3)
    return field * np.float32(1.7)


def sheets(canvas: Canvas, stream: Stream, count: int) -> list[RGB]:
    """Colours from the deepest sheet to the uppermost."""
    colours = list(canvas.palette.colours)
    order = stream.order(len(colours))
    stops = [colours[i] for i in order][: stream.integer(3, len(colours))]
    if stream.chance(0.5):
        stops.append(canvas.palette.paper)
    if stream.chance(0.35):
        stops.reverse()
    ramp = gradient(stops, max(count, 2))
    return [(int(r), int(g), int(b)) for r, g, b in ramp[:count]]


def steepness(field: Field) -> Field:
    """How much the field changes from a pixel to the next: dividing by it makes every cut edge one pixel soft."""
    dy, dx = np.empty_like(field), np.empty_like(field)
    dy[:-1], dx[:, :-1] = field[1:] - field[:-1], field[:, 1:] - field[:, :-1]
    dy[-1], dx[:, -1] = dy[-2], dx[:, -2]
    steepest: Field = np.sqrt(dy * dy + dx * dx) + np.float32(1e-6)
    return steepest


def shifted(plane: Plane, down: int, right: int) -> Plane:
    """Moved, its edge drawn out into what comes free."""
    rows, columns = plane.shape
    row = np.clip(np.arange(rows) - down, 0, rows - 1)
    column = np.clip(np.arange(columns) - right, 0, columns - 1)
    return plane[row][:, column]


def shadows(coarse: Field, levels: list[float], depth: float, toward: tuple[float, float]) -> Plane:
    """(count + 1, height, width) at half size: how much light (255 all) each sheet leaves to what lies below it."""
    slope = steepness(coarse) * np.float32(2)
    left = np.full((len(levels) + 1, *coarse.shape), 255, dtype=np.uint8)
    for index, level in enumerate(levels):
        cover = np.clip((coarse - np.float32(level)) / slope + np.float32(0.5), 0, 1) * np.float32(255)
        sheet = Image.fromarray(cover.astype(np.uint8), "L")
        small = sheet.reduce(2).filter(ImageFilter.GaussianBlur(depth * 0.36))
        soft = np.asarray(small.resize(sheet.size, Image.Resampling.BILINEAR))
        moved = shifted(soft, int(toward[1] * depth * 0.9), int(toward[0] * depth * 0.9))
        tight = np.asarray(sheet.filter(ImageFilter.BoxBlur(max(1, int(depth * 0.15)))))
        left[index] = 255 - (moved.astype(np.uint16) * 108 + tight.astype(np.uint16) * 52 >> 8).astype(np.uint8)
    return left


def draw(canvas: Canvas) -> Image.Image:
    stream = canvas.stream
    count = int(5 + 6 * canvas.density) + stream.integer(0, 2)
    half = (canvas.height + 1) // 2, (canvas.width + 1) // 2
    coarse = heights(canvas, stream, half)
    field = enlarge(coarse, canvas.shape)
    slope = steepness(field)
    ordered = np.sort(coarse.ravel()[::37])
    low, high = stream.between(0.03, 0.10), stream.between(0.86, 0.95)
    at = [low + (high - low) * index / (count - 2) for index in range(count - 1)]
    levels = [float(ordered[int(share * (len(ordered) - 1))]) for share in at]
    toward = turn(stream.between(0.08, 0.20))
    light = shadows(coarse, levels, 0.011 * canvas.short, toward)
    colours = np.array(sheets(canvas, stream.named("colours"), count), dtype=np.float32)

    edges = np.array([*levels, 1e9], dtype=np.float32)
    above = field + slope * np.float32(0.5)
    upper = np.zeros(canvas.shape, dtype=np.intp)  # the uppermost sheet that any part of the pixel shows
    for level in levels:
        upper += above > np.float32(level)
    edge = edges[np.maximum(upper - 1, 0)]
    inside = field - edge
    cut = np.where(upper > 0, np.clip(inside / slope + np.float32(0.5), 0, 1), 1)
    place = (np.arange(canvas.height) // 2)[:, None] * half[1] + (np.arange(canvas.width) // 2)[None, :]
    flat, plane = light.ravel(), half[0] * half[1]
    lit_upper = flat[upper * plane + place].astype(np.float32) * np.float32(1 / 255)
    under = np.maximum(upper - 1, 0)
    lit_under = flat[under * plane + place].astype(np.float32) * np.float32(1 / 255)

    y, x = grid(canvas.shape)
    ambient = np.float32(1.0) - (x * np.float32(toward[0]) + y * np.float32(toward[1])) * np.float32(0.12)
    rim = np.clip(1 - inside / (slope * np.float32(0.0035 * canvas.short)), 0, 1) * (upper > 0) * np.float32(17)
    image = np.empty((*canvas.shape, 3), dtype=np.float32)
    for channel in range(3):
        over = colours[:, channel][upper] * ambient * lit_upper + rim
        below = colours[:, channel][under] * ambient * lit_under
        image[..., channel] = below + (over - below) * cut
    return to_image(image)
