"""Arithmetic that gives the same bits on every machine.

IEEE 754 fixes addition, subtraction, multiplication, division and the square root to the last bit, and numpy does each
as a pass of its own. It does not fix sin, exp or pow: numpy picks another implementation of those for another CPU, and
libm differs too. A float sum may be taken in another order: numpy's by CPU, Python's by version. So renderers use what
is here, sum whole numbers only, and use `math.fsum` for floats.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[Any]


def sine(turns: Field) -> Field:
    """sin(2π · turns) within 2e-4, by folding to a quarter turn and an odd polynomial of degree 5."""
    fraction = turns - np.floor(turns)
    quarter = fraction - 0.5
    folded = np.minimum(np.abs(quarter), 0.5 - np.abs(quarter)) * 4.0
    square = folded * folded
    half_wave = folded * (1.5706268 + square * (-0.6432292 + square * 0.0727102))
    return np.copysign(half_wave, -quarter).astype(turns.dtype, copy=False)


def cosine(turns: Field) -> Field:
    return sine(turns + turns.dtype.type(0.25))


def turn(turns: float) -> tuple[float, float]:
    """The unit vector (cos, sin) of an angle in turns."""
    angle = np.array([turns], dtype=np.float64)
    return float(cosine(angle)[0]), float(sine(angle)[0])


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, a cubic ease between."""
    t = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(value.dtype, copy=False)


def unit(field: Field) -> Field:
    """Stretched to 0 … 1."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) * (1.0 / max(high - low, 1e-9))).astype(field.dtype, copy=False)


def cube_root(value: float) -> float:
    """By Newton's method, for 0 ≤ value ≤ 1."""
    if value <= 0.0:
        return 0.0
    root = 0.5 + value * 0.5
    for _ in range(40):
        root -= (root * root * root - value) / (3.0 * root * root)
    return root
