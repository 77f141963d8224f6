"""Attractor: millions of steps of a small chaotic map, developed like a photograph. Maps: Clifford, De Jong, Svensson.

Chaos doubles the smallest difference at every step, so this style stands on `exact.sine` more than any other.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from workers.studio.renderers.canvas import Canvas, to_image
from workers.studio.renderers.exact import Field, cosine, sine
from workers.studio.renderers.noise import enlarge, fractal
from workers.studio.renderers.palette import gradient, lightness
from workers.studio.renderers.stream import Stream

TURN = 1 / 6.283185307179586
Vector = npt.NDArray[np.float64]


def step(form: str, k: Vector, x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """`k` holds a, b, c, d, each one number or one per row of x and y."""
    a, b, c, d = k
    if form == "clifford":
        return (
            sine(y * (a * TURN)) + c * cosine(x * (a * TURN)),
            sine(x * (b * TURN)) + d * cosine(y * (b * TURN)),
        )
    if form == "de jong":
        return sine(y * (a * TURN)) - cosine(x * (b * TURN)), sine(x * (c * TURN)) - cosine(y * (d * TURN))
    return d * sine(x * (a * TURN)) - sine(y * (b * TURN)), c * cosine(x * (a * TURN)) + cosine(y * (b * TURN))


def start(count: int) -> tuple[Vector, Vector]:
    index = np.arange(count, dtype=np.float64)
    return (index * 0.618034) % 1 - 0.5, (index * 0.754878) % 1 - 0.5


def richness(form: str, k: Vector) -> Vector:
    """Of each column of parameters the share of a 40 by 40 grid that its figure fills, weighted by how evenly.

    Near 0 for a cycle of few points, 1 for a blot without form: one over the sum of squared shares, per cell.
    """
    candidates, particles, grid = k.shape[1], 48, 40
    x0, y0 = start(particles)
    x, y = np.tile(x0, (candidates, 1)), np.tile(y0, (candidates, 1))
    column = k[:, :, None]
    for _ in range(110):
        x, y = step(form, column, x, y)
    low_x, high_x = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    low_y, high_y = y.min(axis=1, keepdims=True), y.max(axis=1, keepdims=True)
    size = np.maximum(np.maximum(high_x - low_x, high_y - low_y), 1e-6)
    cells = []
    row = np.arange(candidates)[:, None] * grid * grid
    for _ in range(60):
        x, y = step(form, column, x, y)
        u = np.clip((x - low_x) * (grid / size), 0, grid - 1).astype(np.intp)
        v = np.clip((y - low_y) * (grid / size), 0, grid - 1).astype(np.intp)
        cells.append(row + v * grid + u)
    counts = np.bincount(np.concatenate(cells, axis=1).ravel(), minlength=candidates * grid * grid)
    squares = np.cumsum((counts * counts).reshape(candidates, -1), axis=1)[:, -1]
    samples = particles * 60
    effective: Vector = samples * samples / squares / (grid * grid)
    return effective


def find(stream: Stream) -> tuple[str, Vector]:
    """Parameters whose figure is neither a few points nor a blot: one of the best of some draws."""
    form = stream.pick(["clifford", "de jong", "svensson"])
    candidates = 28
    draws, signs = stream.floats(4, candidates), np.where(stream.floats(4, candidates) < 0.5, -1.0, 1.0)
    low = np.array([1.1, 1.1, 1.1, 1.1] if form == "de jong" else [1.1, 1.1, 0.4, 0.4])[:, None]
    high = np.array([2.4, 2.4, 2.6, 2.6] if form == "de jong" else [2.3, 2.3, 1.5, 1.5])[:, None]
    k = (low + (high - low) * draws) * signs
    order = np.argsort(np.abs(richness(form, k) - stream.between(0.15, 0.30)), kind="stable")
    return form, k[:, order[stream.integer(0, 1)]]


def develop(canvas: Canvas, stream: Stream, particles: int, steps: int) -> tuple[Field, Field]:
    """How often each pixel was hit, and the mean age (0 to 1) of the orbit's speed there."""
    form, k = find(stream)
    x, y = start(particles)
    for _ in range(40):
        x, y = step(form, k, x, y)
    across, down = np.sort(x), np.sort(y)
    low_x, high_x, low_y, high_y = (float(v) for v in (across[8], across[-9], down[8], down[-9]))
    margin = stream.between(0.07, 0.12)
    wide, high = canvas.width * (1 - 2 * margin), canvas.height * (1 - 2 * margin)
    size = min(wide / max(high_x - low_x, 0.3), high / max(high_y - low_y, 0.3))
    shift_x = canvas.width / 2 - (low_x + high_x) / 2 * size
    shift_y = canvas.height / 2 - (low_y + high_y) / 2 * size
    pixels = canvas.width * canvas.height
    hits = np.zeros(pixels + 1, dtype=np.float64)
    speeds = np.zeros(pixels + 1, dtype=np.float64)
    batch = 32
    index = np.empty((batch, particles), dtype=np.intp)
    speed = np.empty((batch, particles))
    for _ in range(steps // batch):
        for row in range(batch):
            next_x, next_y = step(form, k, x, y)
            speed[row] = np.abs(next_x - x) + np.abs(next_y - y)
            x, y = next_x, next_y
            u, v = x * size + shift_x, y * size + shift_y
            inside = (u >= 0) & (u < canvas.width) & (v >= 0) & (v < canvas.height)
            place = v.astype(np.intp) * canvas.width + u.astype(np.intp)
            index[row] = np.where(inside, place, pixels)  # the few that fly off land on a pixel that is dropped
        flat = index.ravel()
        hits += np.bincount(flat, minlength=pixels + 1)
        speeds += np.bincount(flat, weights=speed.ravel(), minlength=pixels + 1)
    hits, speeds = hits[:-1], speeds[:-1]
    mean = speeds / np.maximum(hits, 1)
    return hits.reshape(canvas.shape).astype(np.float32), mean.reshape(canvas.shape).astype(np.float32)


def softened(plane: Field) -> Field:
    """Each pixel with its eight neighbours, weighted 4, 2, 1."""
    wide = np.pad(plane, 1)
    rows = wide[:-2] + wide[1:-1] * np.float32(2) + wide[2:]
    blurred: Field = (rows[:, :-2] + rows[:, 1:-1] * np.float32(2) + rows[:, 2:]) * np.float32(1 / 16)
    return blurred


def typical(hits: Field) -> float:
    """The count that four of five touched pixels stay below."""
    ordered = np.sort(hits[hits > 0][::29])
    return max(float(ordered[len(ordered) * 4 // 5]), 1.0)


def draw(canvas: Canvas) -> Image.Image:
    stream, palette = canvas.stream, canvas.palette
    steps = 32 * max(2, min(15, round(5 * canvas.width * canvas.height / 1024**2)))
    hits, mean = develop(canvas, stream, 16384, steps)
    image = canvas.ground()
    cloud = enlarge(fractal(stream.named("cloud"), (64, 64), 1.2, octaves=2), canvas.shape)
    image *= np.float32(1) + cloud[..., None] * np.float32(0.05)
    fog = np.float32(0.5) * hits + np.float32(0.5) * softened(hits)  # counts are few: a little blur is less noise
    tone = fog / (fog + np.float32(typical(hits) * (0.5 - 0.25 * canvas.density)))
    if not palette.dark:
        tone = tone * np.sqrt(tone)
    ordered = sorted(palette.colours, key=lightness, reverse=not palette.dark)[1:]
    ordered = [ordered[i] for i in stream.order(len(ordered))]
    ramp = gradient([*ordered, palette.ink], 512)
    speeds = np.sort(mean[hits > 0][::41])
    slow, fast = float(speeds[len(speeds) // 50]), float(speeds[-len(speeds) // 50])
    place = np.clip(
        (mean - np.float32(slow)) * np.float32(0.62 / max(fast - slow, 1e-6)) + tone * np.float32(0.38), 0, 1
    )
    colour = ramp[(place * np.float32(511)).astype(np.intp)]
    image += (colour - image) * tone[..., None]
    return to_image(image)
