"""Current: ribbons that follow one field of directions and never touch, as rivers and hair do.

After the idea of Tyler Hobbs's flow fields (tylerxhobbs.com/words/flow-fields), with a collision grid.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from workers.studio.renderers.canvas import Canvas, Points, Sheet
from workers.studio.renderers.exact import cosine, sine
from workers.studio.renderers.noise import fractal
from workers.studio.renderers.palette import RGB, mix
from workers.studio.renderers.stream import Stream

STEP = 0.008
CELL = 1 / 320


@dataclass(frozen=True)
class Ribbon:
    path: Points
    width: float
    colour: RGB
    second: RGB | None
    """Of a ribbon in segments, the colour that alternates."""


def trace(angles: npt.NDArray[np.float32], starts: Points, steps: int) -> Points:
    """(steps, n, 2): all ribbons at once, half the steps against the current and half along it."""
    rows, columns = angles.shape
    short = min(rows, columns)
    path = np.empty((2 * steps + 1, len(starts), 2))
    path[steps] = starts
    for direction in (-1, 1):
        here = starts.copy()
        for step in range(1, steps + 1):
            column = np.clip((here[:, 0] * short + columns / 2).astype(np.intp), 0, columns - 1)
            row = np.clip((here[:, 1] * short + rows / 2).astype(np.intp), 0, rows - 1)
            angle = angles[row, column].astype(np.float64)
            here[:, 0] += direction * STEP * cosine(angle)
            here[:, 1] += direction * STEP * sine(angle)
            path[steps + direction * step] = here
    return path


class Occupied:
    """Which cells of the sheet some ribbon, with the gap around it, has taken."""

    def __init__(self, canvas: Canvas) -> None:
        self._half = np.array(canvas.reach) + 0.1
        self._cells = np.zeros(tuple((2 * self._half[::-1] / CELL).astype(int) + 1), dtype=bool)

    def _index(self, points: Points) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        cell = ((points + self._half) * (1 / CELL)).astype(np.intp)
        rows, columns = self._cells.shape
        return np.clip(cell[..., 1], 0, rows - 1), np.clip(cell[..., 0], 0, columns - 1)

    def hits(self, points: Points) -> npt.NDArray[np.bool_]:
        occupancy: npt.NDArray[np.bool_] = self._cells[self._index(points)]
        return occupancy

    def take(self, points: Points) -> None:
        for part in (0.0, 1 / 3, 2 / 3):  # a step is longer than a cell: what lies between counts too
            self._cells[self._index(points[:, :-1] + (points[:, 1:] - points[:, :-1]) * part)] = True


def across(path: Points, half: float, count: int) -> Points:
    """(count, n, 2): the path moved sideways by -half … half."""
    ahead = np.empty_like(path)
    ahead[1:-1] = path[2:] - path[:-2]
    ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    length = np.sqrt(ahead[:, 0] * ahead[:, 0] + ahead[:, 1] * ahead[:, 1])
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) / length[:, None]
    shifts = (np.arange(count) * (2 / max(count - 1, 1)) - 1) * half if count > 1 else np.zeros(1)
    return path[None] + side[None] * shifts[:, None, None]


def field_of(canvas: Canvas, stream: Stream) -> npt.NDArray[np.float32]:
    """Directions in turns, on a grid a quarter of the size."""
    shape = max(canvas.height // 4, 32), max(canvas.width // 4, 32)
    base = stream.pick([0.0, 0.125, 0.25, 0.375, stream.between(0, 1)])
    bend = stream.between(0.10, 0.22) + 0.28 * canvas.energy
    angles = base + bend * fractal(stream.named("field"), shape, stream.between(0.7, 1.6), octaves=2, gain=0.3)
    if stream.chance(0.2):  # few directions: a plan of streets instead of a river
        parts = stream.pick([8, 12, 16])
        angles = np.floor(angles * parts + 0.5) * (1 / parts)
    field: npt.NDArray[np.float32] = angles.astype(np.float32)
    return field


def ribbons(canvas: Canvas, stream: Stream) -> list[Ribbon]:
    half_width, half_height = canvas.reach
    margin = stream.pick([0.0, 0.055, 0.075], [1, 2, 2])
    scale = stream.pick([0.7, 1.0, 1.5], [2, 3, 2]) * (1.25 - 0.5 * canvas.density)
    widths = [w * scale for w in (0.034, 0.018, 0.009, 0.0045)]
    sizes = stream.pick([(5, 6, 5, 2), (1, 2, 6, 6), (8, 4, 1, 0), (3, 1, 1, 8)])
    gap = stream.pick([0.0022, 0.004, 0.007])
    longest = stream.pick([18, 34, 60])
    colours = list(canvas.palette.colours)
    leading = stream.order(len(colours))
    weights = [[5.0, 3.0, 2.0, 1.0, 0.6][int(rank)] for rank in np.argsort(leading, kind="stable")]
    tries = int(700 + 900 * canvas.density)
    places = stream.floats(tries, 2) * 2 - 1
    places *= np.array([half_width - margin + 0.02, half_height - margin + 0.02])
    paths = trace(field_of(canvas, stream), places, longest)
    zones = fractal(stream.named("zones"), (64, 64), 1.4, octaves=1)
    occupied, result = Occupied(canvas), []
    order = np.sort(stream.floats(tries))  # wide ones first, while there is room
    for attempt in range(tries):
        rank = 1.0 if order[attempt] > 0.35 else 0.25
        width = stream.pick(widths, [s * (rank if i > 1 else 1.0) + 0.01 for i, s in enumerate(sizes)])
        path = paths[:, attempt]
        lanes = across(path, width / 2 + gap, max(3, int((width + 2 * gap) / CELL) + 2))
        blocked = occupied.hits(lanes).any(axis=0)
        blocked |= (np.abs(path[:, 0]) > half_width - margin) | (np.abs(path[:, 1]) > half_height - margin)
        if blocked[longest]:
            continue
        stops = np.flatnonzero(blocked)
        first = int(stops[stops < longest].max(initial=-1)) + 1
        last = int(stops[stops > longest].min(initial=len(path)))
        if (last - first) * STEP < max(width * 1.2, 0.03):
            continue
        occupied.take(lanes[:, first:last])
        u, v = (np.clip((places[attempt] * 0.45 + 0.5) * 64, 0, 63)).astype(int)
        shift = int(np.floor((float(zones[v, u]) + 1) * 1.5))
        colour = colours[(stream.pick(range(len(colours)), weights) + shift) % len(colours)]
        second = stream.pick(colours) if stream.chance(0.22) and width > 0.008 else None
        result.append(Ribbon(path[first:last], width, colour, second))
    return result


def draw(canvas: Canvas) -> Image.Image:
    stream = canvas.stream
    sheet = Sheet(canvas, canvas.palette.paper)
    segment = stream.integer(2, 9)
    for ribbon in ribbons(canvas, stream.named("ribbons")):
        left, right = across(ribbon.path, ribbon.width / 2, 2)
        sheet.polygon(np.concatenate([left, right[::-1]]), ribbon.colour)
        if ribbon.second is not None and len(ribbon.path) > 2 * segment:
            colour = ribbon.second if ribbon.second != ribbon.colour else mix(ribbon.colour, canvas.palette.paper, 0.35)
            for start in range(segment, len(ribbon.path) - 1, 2 * segment):
                end = min(start + segment + 1, len(ribbon.path))
                sheet.polygon(np.concatenate([left[start:end], right[start:end][::-1]]), colour)
    return sheet.finished()
