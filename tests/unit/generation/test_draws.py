"""Draws are pure functions of hash and name, and never change; what a request sets itself is checked."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.payload.draws import choose, draw, number, pick, seed
from shared.contracts.generation_input import read
from shared.contracts.problem import Problem
from shared.contracts.variables import shares_of
from tests.unit.generation.builders import data, step
from tests.unit.generation.builders import pick as pick_variable

HASH = "uWCkKMYQnAeSETlQgXXjgv5rpsqQ4wOksnStXFck1PtrBy9TEVg"

HASHES = st.text(min_size=1, max_size=64)
VALUES = st.lists(st.text(max_size=5), min_size=1, max_size=6, unique=True)


def variables(*declarations):
    return read(data(step(1), variables=declarations)).variables


def test_the_number_behind_every_draw_is_frozen():
    """HMAC-SHA256 of the hash over what, a zero byte, and the name: a change here changes every artwork ever made."""
    assert (
        f"{number(HASH, 'variable', 'style'):064x}"
        == "4a5c5eac3d3633e8c5e52047929ad563161024c1f93445b9a133ed1648abef36"
    )
    assert f"{number('0', 'seed', '7'):064x}" == "c18a3081b7df2d65d2b31a2a68df9435effb7abf7e69235d2ef8307930698414"


def test_picks_are_frozen():
    """The indexes drawn for given hashes and weights."""
    assert [pick(f"hash {n}", "style", (1, 2, 3)) for n in range(12)] == [1, 2, 1, 1, 0, 1, 0, 2, 0, 0, 1, 1]
    assert [pick(f"hash {n}", "style", (90, 99, 100)) for n in range(12)] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_seeds_are_frozen():
    """From hash and step id, within the bounds that the field sets."""
    assert [seed(HASH, step_id) for step_id in (1, 2, 2**63 - 1)] == [2636822392, 4253270848, 928630134]
    assert [seed(HASH, step_id, 10, 19) for step_id in (1, 2, 3)] == [16, 19, 17]


def test_weights_are_the_decimals_that_were_written():
    """One tenth is one tenth, so three tenths and one tenth are 3 to 1 exactly."""
    assert shares_of([0.3, 0.1]) == (3, 1)
    assert shares_of([1, 2.5]) == (2, 5)
    assert shares_of([1e-7, 1]) == (1, 10_000_000)


@given(HASHES, st.text(max_size=8), st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any))
def test_a_value_without_weight_is_never_drawn(hash_, name, shares):
    """And what is drawn is one of the values."""
    assert shares[pick(hash_, name, tuple(accumulate(shares)))] > 0


def test_draws_follow_their_weights():
    """Over 2,000 fixed hashes, a weight of three quarters gets about that share."""
    draws = [pick(str(n), "style", (3, 4)) for n in range(2000)]
    assert 1440 < draws.count(0) < 1560


@given(HASHES, st.dictionaries(st.sampled_from("abcdef"), VALUES, min_size=1))
def test_the_same_hash_draws_the_same_values(hash_, picks):
    """Whatever the variables' order, and however often."""
    declarations = [pick_variable(name, *values) for name, values in picks.items()]
    assert draw(variables(*declarations), {}, hash_) == draw(variables(*reversed(declarations)), {}, hash_)


@given(HASHES, st.dictionaries(st.sampled_from("abcdef"), VALUES, min_size=1), VALUES)
def test_adding_a_variable_never_changes_what_another_draws(hash_, picks, more):
    """All that was drawn before is drawn again."""
    declarations = [pick_variable(name, *values) for name, values in picks.items()]
    before = draw(variables(*declarations), {}, hash_)
    later = draw(variables(pick_variable("new", *more), *declarations), {}, hash_)
    assert {name: later[name] for name in before} == before


@given(HASHES, st.integers(1, 2**63 - 1), st.integers(0, 1000), st.integers(0, 1000))
def test_seeds_lie_within_their_bounds(hash_, step_id, low, extent):
    """Both bounds included."""
    assert low <= seed(hash_, step_id, low, low + extent) <= low + extent


def refusal(declarations, request):
    with pytest.raises(Problem) as refused:
        choose(variables(*declarations), request)
    assert refused.value.code == "VALIDATION_FAILED"
    return [(detail.pointer, detail.message) for detail in refused.value.details]


def test_a_request_may_set_a_variable():
    """Its value stands in every generation, and the others are drawn as ever."""
    declarations = variables(pick_variable("style", "a", "b"), {"name": "title", "type": "text", "value": "x"})
    chosen = choose(declarations, {"style": "b", "title": "free"})
    assert draw(declarations, chosen, "any") == {"style": "b", "title": "free"}


def test_a_value_outside_a_picks_values_is_refused_with_the_list_of_them():
    """So that the client can choose again."""
    assert refusal([pick_variable("style", "a", "b")], {"style": "c"}) == [
        ("/variables/style", "'style' takes one of 'a', 'b'")
    ]


def test_a_pick_of_numbers_knows_true_from_one():
    """Types are JSON's, and 2.0 is the number 2."""
    declaration = pick_variable("n", 1, 2, value_type="numbers")
    assert refusal([declaration], {"n": True})[0][0] == "/variables/n"
    chosen = choose(variables(declaration), {"n": 2.0})
    assert (chosen, type(chosen["n"])) == ({"n": 2}, int)


def test_a_locked_variable_stays_as_it_is():
    """Its creator said so."""
    [(pointer, message)] = refusal([pick_variable("style", "a", lock_value=True)], {"style": "a"})
    assert (pointer, "locked" in message) == ("/variables/style", True)


def test_unknown_names_wrong_types_and_missing_values_are_told_together():
    """Each at its own pointer."""
    faults = refusal(
        [{"name": "title", "type": "text", "value": "x"}, {"name": "n", "type": "number"}], {"title": 4, "a/b": "x"}
    )
    assert [pointer for pointer, _ in faults] == ["/variables/title", "/variables/a~1b", "/variables/n"]
    assert "declared are n, title" in faults[1][1]


DEFINITIONS_OF_EARLY_RELEASES = (
    pick_variable("style", "ink", "oil", "chalk", weights=(1, 2.5, 0)),
    pick_variable("size", 1, 2.0, 3, value_type="numbers"),
    {"name": "title", "type": "text", "value": "a"},
    {"name": "count", "type": "number", "value": 4},
    {"name": "odds", "type": "number", "value": {"values": [1, 3, 5.5], "min": 0, "max": 9, "weights": [1, 1, 2]}},
    {"name": "word", "type": "text", "value": {"values": ["x", "y"]}},
)


def test_draws_of_the_definitions_of_early_releases_are_frozen():
    """Of all kinds, also of a number that lists its values, whose `min` and `max` were ignored."""
    draws = [draw(variables(*DEFINITIONS_OF_EARLY_RELEASES), {}, f"hash {n}") for n in range(6)]
    assert [tuple(values.values()) for values in draws] == [
        ("oil", 3, "a", 4, 1, "y"),
        ("oil", 3, "a", 4, 1, "y"),
        ("oil", 2.0, "a", 4, 3, "y"),
        ("oil", 2.0, "a", 4, 5.5, "x"),
        ("ink", 3, "a", 4, 5.5, "x"),
        ("oil", 1, "a", 4, 1, "x"),
    ]


def test_draws_of_ranges_are_frozen():
    """Each number as likely as the others, or by its weight."""
    ranges = (
        {"name": "waves", "type": "number", "value": {"min": 3, "max": 9, "step": 2}},
        {"name": "blur", "type": "number", "value": {"min": 0, "max": 1, "step": 0.1}},
        {"name": "moons", "type": "number", "value": {"min": 0, "max": 2, "weights": [1, 0, 3]}},
    )
    draws = [draw(variables(*ranges), {}, f"hash {n}") for n in range(6)]
    assert [tuple(values.values()) for values in draws] == [
        (5, 0.7, 0),
        (7, 0.1, 2),
        (7, 0.7, 2),
        (3, 0.5, 2),
        (9, 0.5, 0),
        (5, 0.5, 0),
    ]


def test_every_number_of_a_range_is_drawn():
    """About as often as the others."""
    [spread] = variables({"name": "waves", "type": "number", "value": {"min": 1, "max": 4}})
    draws = [draw([spread], {}, str(n))["waves"] for n in range(2000)]
    assert {number: 430 < draws.count(number) < 570 for number in set(draws)} == dict.fromkeys((1, 2, 3, 4), True)


def test_a_request_sets_a_number_of_the_range():
    """Any other one is refused, with the range; 5.0 is 5."""
    declaration = {"name": "waves", "type": "number", "value": {"min": 3, "max": 9, "step": 2}}
    assert choose(variables(declaration), {"waves": 5.0}) == {"waves": 5.0}
    for value in (4, 11, True, "5", 5.5):
        assert refusal([declaration], {"waves": value}) == [
            ("/variables/waves", "'waves' takes a number from 3 to 9 in steps of 2")
        ]
