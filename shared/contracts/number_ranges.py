"""The numbers from a least to a greatest one, in equal steps: the values of a number variable with `min` and `max`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from shared.contracts.problem import Detail, about, quote

LIMITS = ("min", "max", "step")


def is_number(value: Any) -> bool:
    """Whether it is a JSON number in the range of a double; true and false are not numbers."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def exact(number: float) -> Fraction:
    """A number as the decimal of its shortest text: 0.1 is one tenth, not the nearest double."""
    return Fraction(repr(number))


@dataclass(frozen=True, slots=True)
class NumberRange(Sequence[int | float]):
    """The numbers (first + i * step) / scale with i from 0 to size - 1, computed when they are read.

    They are integers if `min` and `step` are written as integers, else doubles: each the nearest one to the exact
    decimal, so they are the same on every machine.
    """

    first: int
    step: int
    scale: int
    size: int
    whole: bool

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        place = index + self.size if index < 0 else index
        if not 0 <= place < self.size:
            raise IndexError(index)
        number = self.first + place * self.step
        return number // self.scale if self.whole else number / self.scale

    def __contains__(self, number: object) -> bool:
        """Whether it is one of these numbers; 2.0 is 2."""
        if not isinstance(number, int | float):
            return False
        place = (exact(number) * self.scale - self.first) / self.step
        return place.denominator == 1 and 0 <= place < self.size

    def __str__(self) -> str:
        first, last, step = self[0], self[-1], self.step / self.scale
        return f"a number from {first} to {last} in steps of {step:.15g}"


def range_of(limits: Mapping[str, Any]) -> NumberRange:
    """The range of valid `min`, `max` and `step`; 1 is the step without one."""
    step = limits.get("step")
    step = 1 if step is None else step
    least, greatest, width = exact(limits["min"]), exact(limits["max"]), exact(step)
    scale = math.lcm(least.denominator, width.denominator)
    whole = isinstance(limits["min"], int) and isinstance(step, int)
    count = int((greatest - least) // width) + 1
    return NumberRange(int(least * scale), int(width * scale), scale, count, whole)


def range_faults(limits: Mapping[str, Any], where: str, most: int) -> Iterator[Detail]:
    """The faults of a range with at most `most` numbers; `where` is its pointer."""
    faults = [
        about(limits, name, where, f"{name} must be a number")
        for name in ("min", "max")
        if not is_number(limits.get(name))
    ]
    step = limits.get("step")
    if step is not None and (not is_number(step) or step <= 0):
        faults.append(Detail(f"{where}/step", f"{quote(step)} is not a valid step: a number above 0"))
    if not faults and limits["max"] < limits["min"]:
        faults.append(Detail(f"{where}/max", f"max must be at least min, {quote(limits['min'])}"))
    if not faults and step is None and not all(isinstance(limits[name], int) for name in ("min", "max")):
        faults.append(Detail(f"{where}/step", "step is required unless min and max are integers"))
    if not faults and (count := range_of(limits).size) > most:
        number = str(count) if count <= 10**12 else "more than a trillion"
        faults.append(Detail(f"{where}/step", f"at most {most} values are allowed; there are {number}"))
    yield from faults
