"""Ridges: a sun or moon over ranges that fade into haze, hatched with strokes that run down their slopes."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from workers.studio.renderers.canvas import Canvas, lay, to_image
from workers.studio.renderers.exact import Field, smoothstep
from workers.studio.renderers.noise import fractal, grid, profile
from workers.studio.renderers.palette import RGB, gradient, lightness, mix
from workers.studio.renderers.stream import Stream

Line = npt.NDArray[np.float32]


def crest(canvas: Canvas, stream: Stream, base: float, rise: float, cells: float) -> Line:
    """Height of a range at every column, in units from the middle, y downwards."""
    rough = 0.36 + 0.16 * canvas.energy
    line = profile(stream, canvas.width, cells * canvas.reach[0] * 2, octaves=7, gain=rough)
    if stream.named("sharp").chance(0.5):  # folded noise makes peaks instead of rolling hills
        line = np.float32(0.6) - np.abs(line) * np.float32(1.5)
    ridge: Line = (np.float32(base) - line * np.float32(rise)).astype(np.float32)
    return ridge


def sky(canvas: Canvas, stream: Stream, colours: list[RGB]) -> Field:
    y, _ = grid(canvas.shape)
    ramp = gradient(colours, 512)
    bend = fractal(stream.named("clouds"), canvas.shape, 1.6, octaves=3, stretch=5.0)
    half = canvas.reach[1]
    place = (y + np.float32(half)) * np.float32(1 / (1.5 * half)) + bend * np.float32(0.05 + 0.07 * canvas.energy)
    return ramp[(np.clip(place, 0, 1) * 511).astype(np.intp)]


def light(canvas: Canvas, stream: Stream, image: Field, colour: RGB, horizon: float) -> None:
    y, x = grid(canvas.shape)
    half_width, half_height = canvas.reach
    radius = stream.between(0.07, 0.19)
    cx = stream.pick([-0.24, -0.15, 0.0, 0.16, 0.25]) * half_width * 2
    cy = -half_height + (horizon + half_height) * stream.between(0.35, 0.95)
    distance = np.sqrt((x - np.float32(cx)) * (x - np.float32(cx)) + (y - np.float32(cy)) * (y - np.float32(cy)))
    glow = np.float32(radius) / (np.maximum(distance, np.float32(radius)) + np.float32(radius * 0.6))
    lay(image, colour, glow * glow * np.float32(0.55))
    disc = np.clip((np.float32(radius) - distance) * np.float32(canvas.short), 0, 1)
    form = stream.pick(["full", "bars", "crescent"], [4, 2, 1])
    if form == "bars":
        stripe = (y - np.float32(cy)) / np.float32(radius)
        gap = np.float32(0.10) + stripe * np.float32(0.22)
        position = stripe * np.float32(5)
        disc = disc * ((position - np.floor(position) > gap) | (stripe < 0))
    if form == "crescent":
        dx, dy = x - np.float32(cx + radius * 0.45), y - np.float32(cy - radius * 0.2)
        bite = np.sqrt(dx * dx + dy * dy)
        disc = disc * np.clip((bite - np.float32(radius * 0.92)) * np.float32(canvas.short), 0, 1)
    lay(image, colour, disc)


def hatch(canvas: Canvas, stream: Stream, lines: list[Line]) -> Image.Image:
    """Strokes that follow the slopes: an alpha-less drawing on a mid-grey, to be laid over as light and shade."""
    scale = 2
    sheet = Image.new("L", (canvas.width * scale, canvas.height * scale), 128)
    draw = ImageDraw.Draw(sheet)
    unit, middle = canvas.short, canvas.height / 2
    for index, line in enumerate(lines):
        closeness = (index + 1) / len(lines)
        source = stream.named(f"range {index}")
        count = int((500 + 1100 * canvas.density) * (0.4 + 0.6 * closeness) * canvas.width / unit)
        column = (source.floats(count) * (canvas.width - 1)).astype(np.intp)
        below = source.floats(count)
        ahead = np.clip(column + max(2, canvas.width // 64), 0, canvas.width - 1)
        tilt = (line[ahead] - line[column]) * 10.0
        top = line[column] + below * below * (0.05 + 0.22 * closeness)
        length = (0.008 + 0.022 * source.floats(count)) * (0.5 + closeness)
        lean = np.clip(np.where(tilt > 0, 0.5 + tilt, tilt - 0.5), -1.6, 1.6)
        shade = np.where(tilt > 0, 128 - 70 * source.floats(count), 128 + 64 * source.floats(count)).astype(int)
        ends = np.stack([column, top * unit + middle, column + lean * length * unit, (top + length) * unit + middle])
        width = max(1, round(0.0016 * unit * scale * (0.6 + closeness)))
        for (x0, y0, x1, y1), tone in zip((ends.T * scale).tolist(), shade.tolist(), strict=True):
            draw.line((x0, y0, x1, y1), fill=tone, width=width)
        if index + 1 < len(lines):  # what a nearer range hides is wiped
            outline = lines[index + 1]
            xs = np.arange(canvas.width) * scale
            points = np.stack([xs, (outline * unit + middle) * scale], axis=1).ravel().tolist()
            bottom = canvas.height * scale
            draw.polygon([*points, (canvas.width - 1) * scale, bottom, 0, bottom], fill=128)
    return sheet.reduce(scale)


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    half_height = canvas.reach[1]
    by_light = sorted(palette.colours, key=lightness)
    haze = mix(palette.paper, by_light[-1], 0.45)
    horizon = half_height * stream.between(-0.35, 0.15)
    high = mix(palette.paper, stream.pick(by_light[1:4]), 0.75)
    image = sky(canvas, stream.named("sky"), [high, mix(high, haze, 0.6), haze])
    glowing = palette.ink if palette.dark else stream.pick([by_light[-2], mix(by_light[-1], (255, 255, 255), 0.6)])
    if abs(lightness(glowing) - lightness(mix(high, haze, 0.3))) < 0.09:
        glowing = mix(glowing, (255, 252, 240), 0.75)
    light(canvas, stream.named("light"), image, glowing, horizon)
    count = 3 + int(4 * canvas.density) + stream.integer(0, 2)
    near = mix(by_light[0], palette.paper if palette.dark else palette.ink, 0.55)
    tints = gradient([mix(haze, by_light[2], 0.35), by_light[stream.integer(1, 3)], by_light[0], near], count)
    y, _ = grid(canvas.shape)
    lines: list[Line] = []
    colours: list[RGB] = []
    for index in range(count):
        closeness = (index + 1) / count
        base = horizon + (half_height - horizon) * (0.04 + 0.86 * (index / count) * (0.4 + 0.6 * closeness))
        rise = (0.05 + 0.13 * stream.between(0.5, 1.2)) * (1.25 - 0.5 * closeness)
        line = crest(canvas, stream.named(f"crest {index}"), base, rise, 1.1 + 1.3 * (1 - closeness))
        r, g, b = (int(v) for v in tints[index])
        lines.append(line)
        colours.append((r, g, b))
        start = max(0, int((float(line.min()) * canvas.short) + canvas.height / 2) - 2)
        depth = (y[start:] - line[None, :]) * np.float32(canvas.short)
        body = image[start:]
        if not body.size:
            continue
        cover = np.clip(depth, 0, 1)
        mist = smoothstep(0.0, 0.30 * canvas.short, depth) * np.float32(0.75 * (1 - closeness) + 0.08)
        tint = np.empty((*depth.shape, 3), dtype=np.float32)
        tint[:] = np.array(colours[-1], dtype=np.float32)
        lay(tint, haze, mist)
        lay(body, tint, cover)
    strokes = np.asarray(hatch(canvas, stream.named("hatch"), lines)).astype(np.float32) - np.float32(128)
    image += strokes[..., None] * np.float32(0.34)
    return to_image(image)
