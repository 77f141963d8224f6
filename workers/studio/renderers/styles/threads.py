"""Threads: lines of relief, one behind the other, the nearer hiding the farther, as in the plot of a pulsar."""

import numpy as np
from PIL import Image

from workers.studio.renderers.canvas import Canvas, Sheet
from workers.studio.renderers.exact import Field, smoothstep
from workers.studio.renderers.noise import Tile
from workers.studio.renderers.palette import RGB, gradient, lightness, mix
from workers.studio.renderers.stream import Stream

SAMPLES = 300


def window(stream: Stream, x: Field, y: Field) -> Field:
    """Where the relief rises, 0 to 1: the figure of the picture."""
    form = stream.pick(["ridge", "island", "twins", "river"])
    cx, cy = np.float32(stream.between(-0.10, 0.10)), np.float32(stream.between(-0.05, 0.10))
    if form == "ridge":
        return 1 - smoothstep(0.05, 0.30, np.abs(x - cx) + 0 * y)
    if form == "island":
        return 1 - smoothstep(0.08, 0.36, np.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy)))
    if form == "river":
        lean = np.float32(stream.between(0.25, 0.6) * stream.pick([-1, 1]))
        return 1 - smoothstep(0.04, 0.24, np.abs(x - lean * y - cx))
    left = np.sqrt((x + np.float32(0.18)) * (x + np.float32(0.18)) + (y + cy) * (y + cy))
    right = np.sqrt((x - np.float32(0.18)) * (x - np.float32(0.18)) + (y - cy) * (y - cy))
    return 1 - smoothstep(0.05, 0.27, np.minimum(left, right))


def relief(canvas: Canvas, stream: Stream, count: int, half_width: float, half_height: float) -> Field:
    """(count, SAMPLES): how high each line rises at each place, in units."""
    y = ((np.arange(count) + 0.5) / count * 2 - 1).astype(np.float32)[:, None] * np.float32(half_height)
    x = ((np.arange(SAMPLES)) / (SAMPLES - 1) * 2 - 1).astype(np.float32)[None, :] * np.float32(half_width)
    broad, fine = Tile(stream.named("broad"), 6, 3, 0.5), Tile(stream.named("fine"), 24, 2, 0.5)
    body = broad.at(y * np.float32(0.9), x * np.float32(0.9))
    body = np.abs(body) if stream.chance(0.4) else np.maximum(body + np.float32(0.45), 0)
    grain = fine.at(y * np.float32(0.9), x * np.float32(0.9))
    figure = window(stream, x, y)
    height = np.float32(0.10 + 0.10 * canvas.energy)
    wild = np.float32(0.12 + 0.25 * canvas.energy)
    lifted: Field = figure * (body + np.float32(0.2) + np.abs(grain) * wild) * height
    return lifted + grain * np.float32(0.0016)


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    margin = stream.pick([0.10, 0.13])
    half_width, half_height = canvas.reach[0] - margin, canvas.reach[1] - margin
    head = 0.09
    count = int((40 + 44 * canvas.density) * (half_height / 0.38))
    lifted = relief(canvas, stream.named("relief"), count, half_width, half_height)
    colours = sorted(palette.colours, key=lightness, reverse=palette.dark)
    form = stream.pick(["ink", "ramp", "filled", "night"], [2, 3, 3, 2])
    ground: RGB = palette.paper
    if form == "night" and not palette.dark:
        ground = mix(palette.ink, colours[0], 0.25)
        colours.reverse()
    order = stream.pick([(0, 1, 3), (1, 0, 2), (2, 1, 0), (3, 0, 1)])
    ramp = gradient([colours[i] for i in order], count)
    sheet = Sheet(canvas, ground)
    x = (np.arange(SAMPLES) / (SAMPLES - 1) * 2 - 1) * half_width
    spacing = (2 * half_height - head) / count
    thickness = min(stream.pick([0.0018, 0.0026, 0.0036]), spacing * 0.42)
    for index in range(count):
        y = -half_height + head + spacing * (index + 0.5)
        line = np.stack([x, y - lifted[index].astype(np.float64)], axis=1)
        r, g, b = (int(v) for v in ramp[index])
        colour = palette.ink if form == "ink" else (r, g, b)
        below = np.array([[half_width, y + spacing], [-half_width, y + spacing]])
        sheet.polygon(np.concatenate([line, below]), mix(colour, ground, 0.12) if form == "filled" else ground)
        sheet.line(line, ground if form == "filled" else colour, thickness)
    return sheet.finished()
