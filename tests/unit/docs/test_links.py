"""Links in Markdown lead to files and headings that exist. Web addresses are not asked for."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.running_set import ROOT

LISTING = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT, check=True, capture_output=True, text=True,
)  # fmt: skip
DOCUMENTS = [ROOT / line for line in LISTING.stdout.splitlines() if (ROOT / line).is_file()]


def links(markdown: str) -> list[str]:
    tokens = [
        child for token in MarkdownIt("commonmark").enable("table").parse(markdown) for child in token.children or ()
    ]
    return [str(token.attrs[name]) for token in tokens for name in ("href", "src") if name in token.attrs]


def anchors(markdown: str) -> set[str]:
    """Headings in the form of a forge's anchors."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    headings = [text.content for mark, text in pairwise(tokens) if mark.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document: Path) -> list[str]:
    faults = []
    for link in links(document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            faults.append(link)
    return faults


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert not broken(document)


def test_a_missing_file_and_a_missing_heading_are_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# A page\n\n[one](other.md) [two](#no-heading) [three](#a-page) [four](https://example.org)\n")
    assert "other.md" in broken(document)
    assert "#no-heading" in broken(document)
    assert "#a-page" not in broken(document)
