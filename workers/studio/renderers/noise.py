"""Smooth random fields: sums of cubic B-spline surfaces over random lattices.

Coordinates are in units of the picture's short side, so the same draw at another size is the same picture.
"""

import numpy as np
import numpy.typing as npt

from workers.studio.renderers.exact import Field
from workers.studio.renderers.stream import Stream

REACH = 2.2
"""Pictures up to this long (short side = 1) are covered by lattices; longer ones repeat, which is not visible."""


def _taps(count: int, per_unit: float, size: int, phase: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Of every sample the first of its four lattice rows, and the four weights of the cubic B-spline."""
    position = (np.arange(count, dtype=np.float64) + 0.5) * per_unit + phase
    first = np.floor(position)
    t = position - first
    s = 1.0 - t
    weights = np.stack(
        [
            s * s * s,
            3.0 * t * t * t - 6.0 * t * t + 4.0,
            3.0 * s * s * s - 6.0 * s * s + 4.0,
            t * t * t,
        ]
    ) * (1.0 / 6.0)
    return first.astype(np.intp) % size, weights.astype(np.float32)


def surface(stream: Stream, shape: tuple[int, int], cells: tuple[float, float]) -> Field:
    """One octave, about -1 to 1, float32; `cells` = lattice cells per unit, down and across."""
    height, width = shape
    short = min(height, width)
    rows, columns = (int(c * REACH) + 6 for c in cells)
    lattice = (stream.floats(rows, columns) * 2.0 - 1.0).astype(np.float32) * np.float32(1.7)
    phase = stream.floats(2)
    row, row_weights = _taps(height, cells[0] / short, rows, float(phase[0]))
    column, column_weights = _taps(width, cells[1] / short, columns, float(phase[1]))
    down = np.zeros((height, columns), dtype=np.float32)
    for k in range(4):
        down += row_weights[k][:, None] * lattice[(row + k) % rows]
    across = np.zeros((height, width), dtype=np.float32)
    for k in range(4):
        across += np.take(down, (column + k) % columns, axis=1) * column_weights[k]
    return across


def fractal(
    stream: Stream, shape: tuple[int, int], cells: float, octaves: int = 4, gain: float = 0.5, stretch: float = 1.0
) -> Field:
    """Octaves summed, about -1 to 1; `stretch` > 1 draws features out sideways."""
    total = np.zeros(shape, dtype=np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        scale = cells * 2.0**octave
        total += surface(stream.named(f"octave {octave}"), shape, (scale, scale / stretch)) * np.float32(weight)
        norm += weight * weight
        weight *= gain
    return total * np.float32(1.0 / float(np.sqrt(norm)))


def grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    """Rows y and columns x of the pixel centres from the picture's middle, in units of the short side, float32."""
    height, width = shape
    short = min(height, width)
    y = ((np.arange(height) + 0.5 - height / 2) / short).astype(np.float32)
    x = ((np.arange(width) + 0.5 - width / 2) / short).astype(np.float32)
    return y[:, None], x[None, :]


def enlarge(field: Field, shape: tuple[int, int]) -> Field:
    """Bilinear, to a shape of any size."""
    for axis in (0, 1):
        have, want = field.shape[axis], shape[axis]
        position = np.clip((np.arange(want) + 0.5) * (have / want) - 0.5, 0.0, have - 1.0)
        first = np.minimum(position.astype(np.intp), max(have - 2, 0))
        t = (position - first).astype(np.float32)
        t = t[:, None] if axis == 0 else t[None, :]
        low, high = np.take(field, first, axis=axis), np.take(field, np.minimum(first + 1, have - 1), axis=axis)
        field = low + (high - low) * t
    return field


def profile(stream: Stream, count: int, cells: float, octaves: int, gain: float) -> Field:
    """Noise along one line, about -1 to 1, float32; `cells` on the whole line in the first octave."""
    total = np.zeros(count, dtype=np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        source = stream.named(f"octave {octave}")
        size = int(cells * 2**octave) + 6
        lattice = (source.floats(size) * 2.0 - 1.0).astype(np.float32) * np.float32(1.7)
        first, weights = _taps(count, cells * 2**octave / count, size, float(source.floats(1)[0]))
        for k in range(4):
            total += lattice[(first + k) % size] * weights[k] * np.float32(weight)
        norm += weight * weight
        weight *= gain
    return total * np.float32(1.0 / float(np.sqrt(norm)))


class Tile:
    """A wrapped texture of noise that can be read at any coordinates: for warps."""

    SIDE = 512

    def __init__(self, stream: Stream, cells: int, octaves: int = 4, gain: float = 0.5) -> None:
        total = np.zeros((self.SIDE, self.SIDE), dtype=np.float32)
        weight, norm = 1.0, 0.0
        for octave in range(octaves):
            size = cells * 2**octave
            source = stream.named(f"octave {octave}")
            lattice = (source.floats(size, size) * 2.0 - 1.0).astype(np.float32) * np.float32(1.7)
            first, weights = _taps(self.SIDE, size / self.SIDE, size, 0.0)
            down = np.zeros((self.SIDE, size), dtype=np.float32)
            for k in range(4):
                down += weights[k][:, None] * lattice[(first + k) % size]
            for k in range(4):
                total += np.take(down, (first + k) % size, axis=1) * (weights[k] * np.float32(weight))[None, :]
            norm += weight * weight
            weight *= gain
        total *= np.float32(1.0 / float(np.sqrt(norm)))
        self._values = total.ravel()

    def at(self, y: Field, x: Field) -> Field:
        """Bilinear; one unit is the tile's whole side."""
        side = self.SIDE
        v, u = y * np.float32(side), x * np.float32(side)
        fv, fu = np.floor(v), np.floor(u)
        v, u = v - fv, u - fu
        row = fv.astype(np.int32) & (side - 1)
        column = fu.astype(np.int32) & (side - 1)
        below = ((row + 1) & (side - 1)) * side
        row = row * side
        right = (column + 1) & (side - 1)
        take = self._values.take
        top = take(row + column)
        top += (take(row + right) - top) * u
        bottom = take(below + column)
        bottom += (take(below + right) - bottom) * u
        bottom -= top
        bottom *= v
        top += bottom
        return top
