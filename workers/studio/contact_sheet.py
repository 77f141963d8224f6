"""A sheet of small sketches to look at: `python -m workers.studio.contact_sheet OUT.png [PROMPT …]`.

A row per prompt, a picture per hash; without prompts, a row per style.
"""

import hashlib
import sys
from pathlib import Path

from PIL import Image

from workers.studio.renderers.sketch import painting
from workers.studio.renderers.styles import STYLES

ACROSS, CELL, GAP = 6, 320, 8


def sheet(rows: list[dict[str, str]]) -> Image.Image:
    """Each row's payload painted for the same six hashes."""
    paper = Image.new("RGB", (ACROSS * (CELL + GAP) + GAP, len(rows) * (CELL + GAP) + GAP), (58, 58, 60))
    for row, payload in enumerate(rows):
        for column in range(ACROSS):
            picture, _ = painting(hashlib.sha256(bytes([column])).hexdigest(), payload)
            small = picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
            paper.paste(small, (GAP + column * (CELL + GAP), GAP + row * (CELL + GAP)))
    return paper


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)  # noqa: T201 - it is a command of its own
        return 2
    target, *prompts = arguments
    rows = [{"prompt": p} for p in prompts] or [{"prompt": s.name, "style": s.name} for s in STYLES]
    sheet(rows).save(Path(target))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
