"""Titles in letter-spaced capitals of Aileron, the face that ships inside Pillow, as on a gallery's label.

The face has ASCII only, so accents are drawn here; scripts that it can't set are left out of a title. Layout is the
basic one, glyph by glyph: Raqm's depends on a fribidi that a machine may or may not have, and the bytes must not.
"""

import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

SCALE = 4
"""Drawn four times larger and reduced: even spacing at any size."""
PLAIN = str.maketrans(
    {
        "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "đ": "d", "Đ": "D",
        "\u0131": "i", "ß": "ss", "þ": "th", "Þ": "Th", "ð": "d", "№": "No.", "…": "...",
        "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
    }
)  # fmt: skip
MARKS: dict[str, tuple[tuple[float, float], ...]] = {
    "\u0301": ((-0.05, 0.02), (0.09, -0.12)),
    "\u0300": ((0.05, 0.02), (-0.09, -0.12)),
    "\u0302": ((-0.13, 0.02), (0.0, -0.11), (0.13, 0.02)),
    "\u030c": ((-0.13, -0.11), (0.0, 0.02), (0.13, -0.11)),
    "\u0306": ((-0.12, -0.10), (-0.05, 0.0), (0.05, 0.0), (0.12, -0.10)),
    "\u0303": ((-0.15, 0.0), (-0.07, -0.07), (0.07, -0.01), (0.15, -0.08)),
    "\u0304": ((-0.13, -0.03), (0.13, -0.03)),
    "\u030b": ((-0.12, 0.02), (-0.02, -0.12)),
}
"""Strokes of the accents, in ems from the middle of the letter, 0.09 em above its capital height; y downwards."""
DOTS = {"\u0308": (-0.10, 0.10), "\u0307": (0.0,)}
RING = "\u030a"
UNDER = {"\u0327": ((0.0, 0.02), (0.03, 0.09), (-0.06, 0.14)), "\u0328": ((0.06, 0.0), (0.0, 0.08), (0.09, 0.13))}


@lru_cache(maxsize=64)
def face(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def settable(title: str) -> str:
    """The title in capitals, decomposed, of what the face and the accents here can set; runs of blanks become one."""
    capitals = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", title.translate(PLAIN)).upper())
    marks = MARKS.keys() | DOTS.keys() | UNDER.keys() | {RING}
    characters = [c if " " <= c <= "~" or c in marks else " " if c.isspace() else "" for c in capitals]
    return " ".join("".join(characters).split())


def clusters(text: str) -> list[tuple[str, str]]:
    """Each letter with its marks."""
    letters: list[tuple[str, str]] = []
    for character in text:
        if unicodedata.combining(character):
            if letters:
                letters[-1] = letters[-1][0], letters[-1][1] + character
        else:
            letters.append((character, ""))
    return letters


def width_of(text: str, size: int, tracking: float) -> float:
    """In pixels, at a size in pixels; `tracking` in ems."""
    font = face(size * SCALE)
    letters = [letter for letter, _ in clusters(text)]
    return sum(font.getlength(c) for c in letters) / SCALE + tracking * size * max(len(letters) - 1, 0)


def fitted(title: str, size: int, tracking: float, room: float) -> tuple[str, int]:
    """The title at the largest size, down to six tenths, that fits; then shortened, with an ellipsis."""
    text = settable(title)
    smallest = max(6, size * 6 // 10)
    while size > smallest and width_of(text, size, tracking) > room:
        size -= 1
    while len(text) > 3 and width_of(text, size, tracking) > room:
        text = text.removesuffix("...")[:-1].rstrip() + "..."
    return text, size


def set_line(text: str, size: int, tracking: float) -> Image.Image:
    """One line as a mask (`L`, 255 = ink), two sizes high, its base line at 1.4 sizes."""
    font, unit = face(size * SCALE), size * SCALE
    wide = int(width_of(text, size, tracking) + size) + 1
    mask = Image.new("L", (wide * SCALE, 2 * unit), 0)
    draw = ImageDraw.Draw(mask)
    x, base = 0.5 * unit, 1.4 * unit
    stroke = max(1, round(0.07 * unit))
    for letter, marks in clusters(text):
        draw.text((round(x), round(base)), letter, font=font, fill=255, anchor="ls")
        advance = font.getlength(letter)
        middle, above = x + advance / 2, base - 0.80 * unit
        for mark in marks:
            for dx in DOTS.get(mark, ()):
                r = 0.055 * unit
                cx, cy = middle + dx * unit, above - 0.02 * unit
                draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=255)
            if mark == RING:
                r, cy = 0.09 * unit, above - 0.04 * unit
                draw.ellipse((middle - r, cy - r, middle + r, cy + r), outline=255, width=max(1, round(0.05 * unit)))
            if mark in MARKS:
                draw.line([(middle + u * unit, above + v * unit) for u, v in MARKS[mark]], 255, stroke, "curve")
            if mark in UNDER:
                draw.line([(middle + u * unit, base + v * unit) for u, v in UNDER[mark]], 255, stroke, "curve")
        x += advance + tracking * unit
    return mask.reduce(SCALE)
