"""How a prompt's words steer a picture: towards styles and palettes, towards full or sparse, calm or wild.

Words that are known steer by their meaning; every other word still leans somewhere, by its hash.
"""

import re
import unicodedata
from dataclasses import dataclass

from workers.studio.renderers.palette import PALETTES
from workers.studio.renderers.stream import Stream


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FULLER = _words("dense crowded lush intricate detailed complex maximal busy rich abundant city crowd forest jungle")
SPARSER = _words("minimal minimalist sparse simple empty quiet lonely alone calm bare silence zen clean void")
WILDER = _words("storm chaos wild explosive energy fire dance angry turbulent electric punk riot fast speed war")
CALMER = _words("calm serene quiet gentle soft still peaceful slow zen meditation dream sleep silent mist")
NUDGE = 0.22
KNOWN_STYLE, KNOWN_PALETTE, LEANING = 7.0, 30.0, 0.6


@dataclass(frozen=True)
class Mood:
    density: float
    energy: float
    style_weights: dict[str, float]
    palette_weights: dict[str, float]


def words_of(prompt: str) -> list[str]:
    """Lower-case words without accents, in order; signs and emoji count by their Unicode names."""
    plain = "".join(
        c if c.isalnum() or c.isspace() else f" {unicodedata.name(c, '')} " if ord(c) > 0x2000 else " "
        for c in unicodedata.normalize("NFKD", prompt)
        if not unicodedata.combining(c)
    )
    return re.findall(r"\w+", plain.lower())[:200]


def mood_of(prompt: str, style_words: dict[str, frozenset[str]], stream: Stream) -> Mood:
    density, energy = stream.between(0.2, 0.8), stream.between(0.2, 0.8)
    styles = dict.fromkeys(style_words, 1.0)
    palettes = {palette.name: 1.0 for palette in PALETTES}
    for word in dict.fromkeys(words_of(prompt)):
        forms = {word, word.removesuffix("s"), word.removesuffix("y"), word.removesuffix("ing")}
        density += NUDGE * (bool(forms & FULLER) - bool(forms & SPARSER))
        energy += NUDGE * (bool(forms & WILDER) - bool(forms & CALMER))
        for name, words in style_words.items():
            if forms & words:
                styles[name] += KNOWN_STYLE
        for palette in PALETTES:
            if not forms.isdisjoint(palette.words):
                palettes[palette.name] += KNOWN_PALETTE
        lean = Stream.of("lean", word)
        palettes[lean.pick(list(palettes))] += LEANING
        if styles:
            styles[lean.pick(list(styles))] += LEANING
    return Mood(min(max(density, 0.0), 1.0), min(max(energy, 0.0), 1.0), styles, palettes)
