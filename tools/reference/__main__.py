"""`python -m tools.reference` writes the generated pages of docs/reference, and the picture of the packages."""

from tools.exceptions import ROOT
from tools.reference.pages import PAGES
from tools.reference.picture import ARCHITECTURE, with_picture

for name, build in PAGES.items():
    (ROOT / "docs" / "reference" / f"{name}.md").write_text(build())
ARCHITECTURE.write_text(with_picture(ARCHITECTURE.read_text()))
