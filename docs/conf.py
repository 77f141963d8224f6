"""Sphinx's settings: `make docs` builds a site from the Markdown of this folder."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = "emprops"
release = version = PROJECT["version"]
author = copyright = "the emprops contributors"  # noqa: A001 - Sphinx's name
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_title = f"emprops {release}"
html_copy_source = html_show_copyright = False
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3  # links to `page.md#heading`, as a forge resolves them
suppress_warnings = [
    "misc.highlighting_failure",  # the answers in guides leave parts out, so they are not strict JSON
    "myst.xref_missing",  # files outside docs/ are not in the site; tests/unit/docs/test_links.py checks links
]
