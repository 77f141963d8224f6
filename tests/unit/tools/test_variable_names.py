"""The rule that refuses everyday participles as names of variables and parameters."""

from pathlib import Path

import pytest

from tools import rules
from tools.variable_names import refused_names


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "_found = 1",
        "found: int = 1",
        "found += 1",
        "first, (*found, last) = values",
        "for found in values: pass",
        "[found for found in values]",
        "{name: found for name, found in values}",
        "with opened() as found: pass",
        "try: pass\nexcept ValueError as found: pass",
        "import numpy as found",
        "from numpy import array as found",
        "if found := look(): pass",
        "match value:\n case [found, *_]: pass",
        "match value:\n case [_, *found]: pass",
        "match value:\n case {'a': 1, **found}: pass",
        "match value:\n case int() as found: pass",
        "def look(found): pass",
        "def look(*, found=1): pass",
        "def look(*found): pass",
        "def look(**found): pass",
        "async def look(found, /): pass",
        "lambda found: 1",
        "class Search:\n def look(self, found): pass",
        "class Search:\n def look(self):\n  found = 1",
    ],
)
def test_a_variable_or_parameter_is_refused(source: str) -> None:
    assert {name.lstrip("_") for _, name in refused_names(source)} == {"found"}


@pytest.mark.parametrize(
    "source",
    [
        "def found(): pass",
        "class Search:\n found: int = 1\n _shown = 2",
        "search.found = 1",
        "search['found'] = 1",
        "look(found=1)",
        "print(found)",
        "'found = 1'",
        "found_at = not_found = 1",
        "held, stored, left, sent = values",
    ],
)
def test_functions_fields_attributes_keywords_and_terms_of_the_domain_are_not(source: str) -> None:
    assert refused_names(source) == []


def test_a_fault_names_file_line_and_name_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "look.py").write_text("def look(given):\n    found = [given]\n    return found\n")
    monkeypatch.setattr(rules, "ROOT", tmp_path)
    monkeypatch.setattr(rules, "python_files", lambda: ["look.py"])
    advice = "does not say what it holds: name the variable or parameter with a noun, such as `events`, `answer` or "
    faults = [f"look.py:1: `given` {advice}`expected`", f"look.py:2: `found` {advice}`expected`"]
    assert list(rules.variable_names()) == faults


def test_the_rule_is_one_that_make_check_runs() -> None:
    assert rules.variable_names in rules.RULES
