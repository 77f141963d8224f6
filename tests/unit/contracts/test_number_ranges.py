"""Ranges of numbers: exact decimals, whole numbers where they are written so, and clear faults."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.generation_input import read
from shared.contracts.number_ranges import range_of
from shared.contracts.problem import Problem

DECIMALS = st.decimals("-1000", "1000", places=2).map(float)
STEPS = st.decimals("0.01", "50", places=2).map(float)


def variable(value: Any, **more: Any) -> dict[str, Any]:
    return {"name": "n", "type": "number", "value": value, **more}


def faults(*variables: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Problem) as refused:
        read({"version": "v2", "steps": [], "variables": [*variables]})
    return {
        detail.pointer.removeprefix("/data/variables").removeprefix("/"): detail.message
        for detail in refused.value.details
    }


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ({"min": 1, "max": 4}, [1, 2, 3, 4]),
        ({"min": -3, "max": 4, "step": 3}, [-3, 0, 3]),
        ({"min": 0, "max": 1, "step": 0.25}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"min": 0.1, "max": 0.4, "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"min": 5, "max": 5, "step": None}, [5]),
    ],
)
def test_a_range_has_the_numbers_that_its_decimals_say(limits: dict[str, Any], numbers: list[Any]) -> None:
    """0.1 + 2 * 0.1 is 0.3; integers stay integers, and of a range with a fraction all are doubles."""
    assert [repr(number) for number in range_of(limits)] == [repr(number) for number in numbers]


@given(DECIMALS, DECIMALS, STEPS)
def test_a_range_knows_its_own_numbers(one: float, other: float, step: float) -> None:
    """Each is within the limits, the next one after the last is not, and nothing between two of them is one."""
    limits = {"min": min(one, other), "max": max(one, other), "step": step}
    numbers = range_of(limits)
    for place in {0, len(numbers) // 2, len(numbers) - 1}:
        assert numbers[place] in numbers
        assert numbers[place] == float(Fraction(repr(limits["min"])) + place * Fraction(repr(step)))
        assert numbers[place] + step / 3 not in numbers
    assert limits["min"] <= numbers[-1] <= limits["max"]
    assert Fraction(repr(limits["min"])) + len(numbers) * Fraction(repr(step)) > Fraction(repr(limits["max"]))


@pytest.mark.parametrize(
    ("value", "pointer", "words"),
    [
        ({"min": 1}, "0/value/max", "is required"),
        ({"min": 1, "max": True}, "0/value/max", "max must be a number"),
        ({"min": 3, "max": 1}, "0/value/max", "at least min, 3"),
        ({"min": 0, "max": 1, "step": 0}, "0/value/step", "0 is not a valid step"),
        ({"min": 0, "max": 0.5}, "0/value/step", "step is required unless min and max are integers"),
        ({"min": 0, "max": 10_000}, "0/value/step", "at most 10000 values are allowed; there are 10001"),
        ({"min": -1e308, "max": 1e308, "step": 1e-300}, "0/value/step", "there are more than a trillion"),
        ({"min": 0, "max": 2, "weights": [1, 2]}, "0/value/weights", "as long as values (3)"),
        ({"min": 0, "max": 2, "weights": [0, 0, 0]}, "0/value/weights", "at least one weight must be more than 0"),
    ],
)
def test_a_wrong_range_is_refused_at_its_place(value: Any, pointer: str, words: str) -> None:
    assert words in faults(variable(value))[pointer]


def test_ranges_are_bounded_together() -> None:
    """Their documents are short, and each number of theirs is looked at when a job is planned."""
    ranges = [variable({"min": 1, "max": 10_000}) | {"name": f"n{index}"} for index in range(11)]
    assert faults(*ranges) == {"": "all ranges of numbers together have 110000 values; at most 100000 are allowed"}


def test_a_pick_has_no_range() -> None:
    assert faults(variable({"min": 1, "max": 2}, type="pick", value_type="numbers")) == {
        "0/value/values": "is required"
    }
