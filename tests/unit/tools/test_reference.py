"""Generated documentation says what the code says."""

import json
import re
import subprocess
import sys

import pytest

from shared.contracts.error_codes import CONSUMED_EVENTS, REQUESTS, STEPS
from shared.contracts.work import CANCELLED
from shared.http.problems import STATUS
from tools.exceptions import ROOT
from tools.reference.pages import PAGES
from tools.reference.picture import ARCHITECTURE, reduced, with_picture
from tools.reference.source import error_codes


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    """In a process of its own: click keeps a command's help option as the first test that called the command had it."""
    program = "import json; from tools.reference.pages import PAGES; print(json.dumps({n: PAGES[n]() for n in PAGES}))"
    command = [sys.executable, "-c", program]
    pages = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return json.loads(pages)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says(name: str, generated: dict[str, str]) -> None:
    page = ROOT / "docs" / "reference" / f"{name}.md"
    assert page.read_text() == generated[name], "run `make reference`, and commit what it writes"


@pytest.mark.parametrize("operation", ["POST /workflows", "GET /workers", "POST /models"])
def test_the_roles_of_a_route_are_found(operation: str, generated: dict[str, str]) -> None:
    """In a constant of its module, in an expression, and written out."""
    [row] = [line for line in generated["api"].splitlines() if line.startswith(f"| `{operation}` ")]
    assert row.endswith("| operators |")


MEANINGS = {"meaning", "of what", "title", "what it does", "what it means, and what to do"}
"""The columns whose cells are sentences; they come from docstrings, summaries and `shared/contracts/error_codes.py`."""


@pytest.mark.parametrize("name", [name for name in PAGES if name != "cli"])
def test_every_row_of_a_generated_page_has_its_sentence(name: str) -> None:
    columns, lacking, checked = list[str](), list[str](), 0
    for line in (ROOT / "docs" / "reference" / f"{name}.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        columns = cells if not columns else columns if cells else []
        for column, cell in zip(columns, cells, strict=False):
            if column in MEANINGS:
                checked += 1
                lacking += [] if cell else [cells[0]]
    assert checked, "no column of the page is known to have sentences"
    assert not lacking, "write the docstring that says what it is, then run `make reference`"


def test_every_error_code_has_a_sentence_and_every_sentence_a_code() -> None:
    raised = error_codes("services", "shared", "workers")
    listed = {*REQUESTS, *CONSUMED_EVENTS, *STEPS}
    assert not (unlisted := raised - listed), f"say in shared/contracts/error_codes.py what these mean: {unlisted}"
    assert REQUESTS.keys() == STATUS.keys(), "an error of a request has a status in shared/http/problems.py"
    assert not (unused := listed - raised - STATUS.keys() - {CANCELLED}), f"nothing raises these any more: {unused}"


def test_the_picture_of_the_packages_matches_the_imports() -> None:
    text = ARCHITECTURE.read_text()
    assert text == with_picture(text), "run `make reference`, and commit what it writes"


def test_an_arrow_that_a_longer_way_implies_is_not_drawn() -> None:
    assert reduced({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}
