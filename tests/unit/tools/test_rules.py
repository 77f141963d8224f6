"""The rules of `make check` that no linter knows: what they find, and what they pass over."""

import pytest

from tools import rules
from tools.private_attributes import is_private


def test_a_fault_that_is_listed_is_passed_over_and_an_exception_without_a_fault_is_reported() -> None:
    faults = list(rules.report({"a.py", "b.py"}, frozenset({"b.py", "c.py"}), "long_files", "is long"))
    assert faults == ["a.py: is long", "tools/exceptions.toml: long_files: remove 'c.py', which follows the rule"]


@pytest.mark.parametrize(
    ("docstring", "states_one"),
    [('"""A\n\nOver 300 lines: one case per event.\n"""', True), ('"""A\n\nOver 300 lines:\n"""', False)],
)
def test_a_long_file_states_its_reason(docstring: str, *, states_one: bool) -> None:
    assert bool(rules.REASON.search(docstring)) is states_one


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("nats.aio.client.Client._ps", True),
        ("nats.aio.client.Client.publish", False),
        ("shared.eventstore.store.EventStore._pool", False),
        ("msgspec.Struct.__init__", False),
        ("typing.NamedTuple._replace", False),
        ("os._exit", False),
        ("_ended of Group", False),
    ],
)
def test_private_names_of_third_parties_are_known(name: str, *, private: bool) -> None:
    assert is_private(name) is private


def test_the_files_of_the_repository_are_found() -> None:
    assert {"tools/rules.py", "tests/unit/tools/test_rules.py"} <= set(rules.python_files())
