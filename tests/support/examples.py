"""How many examples a property is tried with."""

from hypothesis import settings

USUAL = 100
"""Hypothesis's own number."""


def examples(number: int) -> settings:
    """Settings for `number` examples, or as many fewer as the profile has fewer than usual (`make test-fast`)."""
    return settings(max_examples=max(1, number * settings().max_examples // USUAL))
