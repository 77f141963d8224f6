"""Silk: noise warped by noise (after Inigo Quilez, iquilezles.org/articles/warp), lit from the side like cloth."""

import numpy as np
from PIL import Image

from workers.studio.renderers.canvas import Canvas, to_image
from workers.studio.renderers.exact import Field, sine, smoothstep, turn, unit
from workers.studio.renderers.noise import Tile, enlarge, grid
from workers.studio.renderers.palette import chain, gradient


def folds(canvas: Canvas, shape: tuple[int, int]) -> tuple[Field, Field]:
    """The warped field and how far it was warped, both 0 to 1."""
    stream = canvas.stream.named("folds")
    y, x = grid(shape)
    ux, uy = turn(stream.between(0, 1))
    along, over = x * np.float32(ux) + y * np.float32(uy), y * np.float32(ux) - x * np.float32(uy)
    stretch = np.float32(stream.between(0.5, 1.0))
    scale = np.float32(stream.between(0.45, 0.8))
    v, u = along * scale, over * scale * stretch
    one, two = Tile(stream.named("one"), 3, 3, 0.35), Tile(stream.named("two"), 3, 3, 0.35)
    strength = np.float32(0.10 + 0.14 * canvas.energy)
    v1, u1 = one.at(v, u), two.at(v + np.float32(0.37), u + np.float32(0.11))
    v2 = two.at(v + v1 * strength, u + u1 * strength)
    u2 = one.at(v + u1 * strength + np.float32(0.5), u + v1 * strength)
    value = one.at(v + v2 * strength * np.float32(1.6), u + u2 * strength * np.float32(1.6))
    return unit(value), unit(v2 * v2 + u2 * u2)


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    half = max(canvas.height // 2, 8), max(canvas.width // 2, 8)
    coarse, coarse_warp = folds(canvas, half)
    value, warp = enlarge(coarse, canvas.shape), enlarge(coarse_warp, canvas.shape)
    colours = chain(palette.colours)
    if stream.chance(0.5):
        colours.reverse()
    form = stream.pick(["pleats", "banded", "lines"], [3, 2, 3])
    stops = [*colours, palette.paper] if stream.chance(0.6) else colours
    ramp = gradient(stops, 1024)
    place = value
    if form == "banded":
        bands = np.float32(stream.integer(6, 12))
        scaled = value * bands
        whole = np.floor(scaled)
        edge = np.float32(0.012 * 1024 / canvas.short) * bands / np.float32(6)
        place = (whole + smoothstep(1.0 - float(edge), 1.0, scaled - whole)) / bands
    image = ramp[(np.clip(place, 0, 1) * np.float32(1023)).astype(np.intp)]
    accent = np.array(stream.pick(palette.colours), dtype=np.float32)
    image += (accent - image) * (warp * np.float32(0.4))[..., None]
    ux, uy = turn(stream.between(0.55, 0.95))
    if form == "pleats":  # the cloth is gathered along the field: fine folds, tighter where it was warped
        coarse = coarse + sine(coarse * np.float32(stream.integer(9, 18))) * (
            np.float32(0.006) + coarse_warp * np.float32(0.012)
        )
    dy = np.empty_like(coarse)
    dx = np.empty_like(coarse)
    dy[1:-1], dx[:, 1:-1] = coarse[2:] - coarse[:-2], coarse[:, 2:] - coarse[:, :-2]
    dy[0], dy[-1], dx[:, 0], dx[:, -1] = dy[1], dy[-2], dx[:, 1], dx[:, -2]
    lit = (dx * np.float32(ux) + dy * np.float32(uy)) * np.float32(min(half) / 2)
    lit = lit / np.sqrt(np.float32(1) + lit * lit)
    image += enlarge(lit * np.float32(44), canvas.shape)[..., None]
    if form == "lines":
        count = np.float32(stream.integer(22, 46))
        wave = sine(value * count)
        thin = smoothstep(0.72, 0.98, wave) * np.float32(0.75)
        ink = np.array(palette.ink if stream.chance(0.6) else palette.paper, dtype=np.float32)
        image += (ink - image) * (thin * np.float32(0.5))[..., None]
    return to_image(image)
