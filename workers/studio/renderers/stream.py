"""Numbers drawn from a name: the only source of chance a renderer has.

A stream is Philox4x64 keyed with a sha256, read raw. Raw bits of a numpy bit generator are frozen by numpy's
compatibility policy (NEP 19); the methods of `Generator` on top of them are not, so they are not used here.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Floats = npt.NDArray[Any]


class Stream:
    """Draws in a fixed order. `named` gives an independent stream: adding one never changes another's draws."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    @classmethod
    def of(cls, *parts: str) -> "Stream":
        """The stream of some texts; each is hashed with its length, so no two lists of texts meet in one stream."""
        digest = hashlib.sha256()
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(8, "little") + text)
        return cls(digest.digest())

    def named(self, name: str) -> "Stream":
        return Stream(hashlib.sha256(self._digest + name.encode()).digest())

    def floats(self, *shape: int) -> Floats:
        """Float64 in [0, 1), 53 random bits each."""
        count = int(np.prod(shape, dtype=np.int64))
        raw = self._bits.random_raw(count) >> np.uint64(11)
        numbers: Floats = (raw.astype(np.float64) * 2.0**-53).reshape(shape)
        return numbers

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.floats(1)[0])

    def chance(self, probability: float) -> bool:
        return self.between(0, 1) < probability

    def integer(self, low: int, high: int) -> int:
        """`low` to `high`, both included."""
        return low + int(self.floats(1)[0] * (high - low + 1))

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        if weights is None:
            return options[self.integer(0, len(options) - 1)]
        left = self.between(0, 1) * math.fsum(weights)
        for option, weight in zip(options, weights, strict=True):
            left -= weight
            if left < 0:
                return option
        return options[-1]

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """A permutation of range(count)."""
        return np.argsort(self.floats(count), kind="stable").astype(np.int64)

    def noise_bytes(self, count: int) -> npt.NDArray[np.uint8]:
        return self._bits.random_raw((count + 7) // 8).astype("<u8").view(np.uint8)[:count]
