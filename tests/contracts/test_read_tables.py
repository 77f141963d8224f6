"""The read tables that queries name are those that projections make: of this release's version, and of no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cli.history import SERVICES, definition_of

ROOT = Path(__file__).parents[2] / "services"
FROM = re.compile(r"\b(?:from|join|into|update)\s+(\w+)")
VERSIONED = re.compile(r"\b\w+_v\d+\b")


def statements(service: str) -> Iterator[tuple[str, str]]:
    """Every text in the service's code that reads or writes a table, with the place where it stands."""
    for path in sorted((ROOT / service).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_sql(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def is_sql(text: str) -> bool:
    return text.strip().lower().startswith(("select", "with", "insert", "update", "delete"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_version_that_is_read_is_declared(service: str) -> None:
    """A version that was raised in a projection and not in a query would be found here, not by a user."""
    declared = {projection.table for projection in definition_of(service).projections}
    tables = {name for _, text in statements(service) for name in VERSIONED.findall(text)}
    assert tables <= declared
    assert tables, "there are queries"


@pytest.mark.parametrize("service", SERVICES)
def test_no_read_table_is_named_without_its_version(service: str) -> None:
    """Those are the tables of the release before, which its code goes on projecting."""
    bare = {projection.name for projection in definition_of(service).projections}
    for place, text in statements(service):
        assert bare.isdisjoint(FROM.findall(text)), place


@pytest.mark.parametrize("service", SERVICES)
def test_values_of_users_are_kept_as_they_are(service: str) -> None:
    """`jsonb` makes other numbers of 1e22 and -0.0, and sorts keys."""
    for projection in definition_of(service).projections:
        assert "jsonb" not in projection.ddl, projection.name
        assert "{table}" in projection.ddl
