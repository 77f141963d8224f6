"""Aura: soft bodies of light that melt into each other behind coarse grain; a colour field to look into."""

import numpy as np
from PIL import Image

from workers.studio.renderers.canvas import Canvas, lay, to_image
from workers.studio.renderers.exact import Field, smoothstep, turn, unit
from workers.studio.renderers.noise import enlarge, fractal, grid
from workers.studio.renderers.palette import RGB, chain, gradient, lightness, mix
from workers.studio.renderers.stream import Stream


def square(y: Field, x: Field, cy: float, cx: float) -> Field:
    dy, dx = y - np.float32(cy), x - np.float32(cx)
    return dx * dx + dy * dy


def warped(canvas: Canvas, shape: tuple[int, int]) -> tuple[Field, Field]:
    y, x = grid(shape)
    amount = np.float32(0.04 + 0.16 * canvas.energy)
    stream = canvas.stream.named("warp")
    return (
        y + fractal(stream.named("y"), shape, 1.3, octaves=2, gain=0.3) * amount,
        x + fractal(stream.named("x"), shape, 1.3, octaves=2, gain=0.3) * amount,
    )


def potential(canvas: Canvas, stream: Stream, y: Field, x: Field) -> Field:
    """A landscape of warmth, 0 to 1, made of a slope and some bodies, hot or cold."""
    ux, uy = turn(stream.between(0, 1))
    field = (x * np.float32(ux) + y * np.float32(uy)) * np.float32(stream.between(0.3, 0.9))
    for index in range(2 + int(3 * canvas.density)):
        cx = stream.between(-0.9, 0.9) * canvas.reach[0]
        cy = stream.between(-0.9, 0.9) * canvas.reach[1]
        radius = stream.between(0.16, 0.5)
        body = 1 - smoothstep(0.0, radius * radius, square(y, x, cy, cx))
        field = field + body * np.float32(stream.between(0.45, 1.0) * (1 if index % 2 else -1))
    return unit(field)


def lookup(ramp: Field, place: Field) -> Field:
    colour: Field = ramp[(np.clip(place, 0, 1) * np.float32(len(ramp) - 1)).astype(np.intp)]
    return colour


def bodies(canvas: Canvas, stream: Stream, y: Field, x: Field, colours: list[RGB]) -> Field:
    return lookup(gradient([mix(colours[0], canvas.palette.paper, 0.3), *colours]), potential(canvas, stream, y, x))


def sun(canvas: Canvas, stream: Stream, y: Field, x: Field, colours: list[RGB]) -> Field:
    """One disc on a slope of colour, its own slope against the ground's: an eclipse, a planet, a window."""
    radius = stream.between(0.24, 0.34)
    cy, cx = stream.between(-0.10, 0.08), stream.between(-0.05, 0.05)
    if lightness(colours[0]) + lightness(colours[1]) > lightness(colours[-1]) + lightness(colours[-2]):
        colours = [*reversed(colours)]
    if stream.chance(0.35):
        colours = [*reversed(colours)]
    deep, bright = colours[:3], colours[2:]
    ground = gradient([deep[0], mix(deep[0], deep[1], 0.8), mix(deep[1], deep[2], 0.7)], 1024)
    half = canvas.reach[1]
    image = lookup(ground, (y + np.float32(half)) * np.float32(0.5 / half))
    distance = np.sqrt(square(y, x, cy, cx))
    halo = np.float32(radius) / (distance + np.float32(radius * 0.35))
    lay(image, bright[-1], np.clip(halo * halo * np.float32(0.42) - np.float32(0.06), 0, np.float32(0.8)))
    inner = gradient([bright[2], bright[1], bright[0]], 1024)
    across = (y - np.float32(cy)) * np.float32(0.5 / radius) + np.float32(0.5)
    body = lookup(inner, across if stream.chance(0.6) else distance * np.float32(1 / radius))
    soft = stream.pick([0.012, 0.06, 0.2])
    lay(image, body, 1 - smoothstep(radius * (1 - soft), radius * (1 + soft * 0.3), distance))
    return image


def reeded(stream: Stream, y: Field, x: Field) -> tuple[Field, Field, Field]:
    """The coordinates as seen through fluted glass, and the light that its edges catch."""
    ux, uy = turn(stream.pick([0.0, 0.0, 0.25, 0.06]))
    flutes = np.float32(stream.integer(9, 22))
    along = x * np.float32(ux) + y * np.float32(uy)
    place = along * flutes
    inside = place - np.floor(place) - np.float32(0.5)
    bend = inside * np.float32(stream.between(1.1, 2.4)) / flutes * np.float32(1.6)
    shine = inside * np.abs(inside) * np.float32(4 * 13)
    return y + bend * np.float32(uy), x + bend * np.float32(ux), shine


def draw(canvas: Canvas) -> Image.Image:
    stream = canvas.stream
    half = max(canvas.height // 2, 8), max(canvas.width // 2, 8)
    y, x = warped(canvas, half)
    colours = chain(canvas.palette.colours)
    if stream.chance(0.5):
        colours.reverse()
    form = stream.pick([sun, bodies])
    if form is sun:
        plain_y, plain_x = grid(half)
        calm = np.float32(0.25)
        y, x = plain_y + (y - plain_y) * calm, plain_x + (x - plain_x) * calm
    shine = np.zeros((1, 1), dtype=np.float32)
    if stream.chance(0.4):
        y, x, shine = reeded(stream.named("glass"), y, x)
    image = form(canvas, stream.named("form"), y, x, colours) + shine[..., None]
    return to_image(np.stack([enlarge(np.ascontiguousarray(image[..., c]), canvas.shape) for c in range(3)], axis=2))
