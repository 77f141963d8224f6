"""Generated documentation says what the code says."""

import subprocess
import sys

import pytest

from tools.exceptions import ROOT
from tools.reference.pages import PAGES
from tools.reference.picture import ARCHITECTURE, reduced, with_picture


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    page = ROOT / "docs" / "reference" / f"{name}.md"
    assert page.read_text() == generated(name), "run `make reference`, and commit what it writes"


def generated(name: str) -> str:
    """In a process of its own: click keeps a command's help option as the first test that called the command had it."""
    program = f"from tools.reference.pages import PAGES; print(PAGES[{name!r}](), end='')"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_picture_of_the_packages_matches_the_imports() -> None:
    text = ARCHITECTURE.read_text()
    assert text == with_picture(text), "run `make reference`, and commit what it writes"


def test_an_arrow_that_a_longer_way_implies_is_not_drawn() -> None:
    assert reduced({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}
