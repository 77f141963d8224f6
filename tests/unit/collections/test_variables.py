"""Which definitions of variables are refused, and what is said about them."""

import pytest

from services.collections.domain.variables import faults


def pick(**value) -> dict:
    return {"name": "style", "type": "pick", "value_type": "strings", "value": {"values": ["a", "b"], **value}}


def pointers(*variables) -> list[str]:
    return [fault.pointer for fault in faults(list(variables), "/v")]


@pytest.mark.parametrize(
    "variable",
    [
        pick(),
        pick(display_names=["A", "B"], weights=[1, 0.5]),
        {"name": "size", "type": "pick", "value_type": "numbers", "value": {"values": [1, 2.5]}},
        {"name": "any", "type": "pick", "value": {"values": [1, "two"]}},
        {"name": "look", "type": "pick", "value_type": "images", "value": {"values": ["https://example.com/a.png"]}},
        {"name": "subject", "type": "text", "value": "person", "lock_value": True, "test_value": "engineer"},
        {"name": "count", "type": "number", "value": 3, "value_type": "numbers"},
        {"name": "Über-Größe 2", "type": "text"},
    ],
)
def test_every_kind_of_variable_has_its_place(variable):
    assert pointers(variable) == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": None}, "/v/0/name"),
        ({"name": " "}, "/v/0/name"),
        ({"name": "a}}b"}, "/v/0/name"),
        ({"name": " a"}, "/v/0/name"),
        ({"name": "$ref:1"}, "/v/0/name"),
        ({"name": "x" * 101}, "/v/0/name"),
        ({"type": "choice"}, "/v/0/type"),
        ({"type": None}, "/v/0/type"),
        ({"value_type": "videos"}, "/v/0/value_type"),
        ({"lock_value": 1}, "/v/0/lock_value"),
        ({"value": "a"}, "/v/0/value"),
        ({"value": {}}, "/v/0/value/values"),
        ({"value": {"values": []}}, "/v/0/value/values"),
        ({"value": {"values": ["a", 2]}}, "/v/0/value/values/1"),
        ({"value": {"values": ["a"], "display_names": ["A", "B"]}}, "/v/0/value/display_names"),
        ({"value": {"values": ["a"], "display_names": [1]}}, "/v/0/value/display_names"),
        ({"value": {"values": ["a"], "weights": [1, 2]}}, "/v/0/value/weights"),
        ({"value": {"values": ["a"], "weights": [-1]}}, "/v/0/value/weights"),
        ({"value": {"values": ["a"], "weights": ["1"]}}, "/v/0/value/weights"),
        ({"value": {"values": ["a"], "weights": [0]}}, "/v/0/value/weights"),
        ({"type": "text", "value": 3}, "/v/0/value"),
        ({"type": "number", "value": "3"}, "/v/0/value"),
        ({"type": "number", "value": True}, "/v/0/value"),
    ],
)
def test_a_wrong_definition_is_pointed_at(change, pointer):
    assert pointers(pick() | change) == [pointer]


def test_a_variable_is_an_object():
    assert pointers("style") == ["/v/0"]


def test_names_are_unique():
    assert pointers(pick(), pick()) == ["/v/1/name"]
