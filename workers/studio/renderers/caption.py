"""`caption`: a few lines about a picture that nobody has seen yet, grown from the prompt and the hash by a grammar."""

import re
from collections.abc import Mapping
from typing import Any

from workers.studio.renderers import limits
from workers.studio.renderers.fields import choice, text, whole
from workers.studio.renderers.mood import mood_of
from workers.studio.renderers.stream import Stream

TONES = ("poetic", "technical")
HUES: dict[str, tuple[str, ...]] = {
    "kiln": ("terracotta", "ember orange", "cooled slate"),
    "tideline": ("deep teal", "sea glass", "wet sand"),
    "moss": ("fern", "old lichen", "pale straw"),
    "nocturne": ("midnight blue", "lamplight", "thin moonlight"),
    "neon": ("hot magenta", "violet", "electric cyan"),
    "sakura": ("blossom", "faded rose", "young leaf"),
    "bauhaus": ("signal red", "chrome yellow", "drawing-board blue"),
    "mesa": ("sandstone", "apricot dust", "far-off blue"),
    "glacier": ("firn white", "meltwater", "winter blue"),
    "orchard": ("ripe red", "russet", "leaf green"),
    "violet hour": ("aubergine", "orchid", "last peach of the sky"),
    "graphite": ("graphite", "ash grey", "one red thread"),
    "verdigris": ("verdigris", "jade", "tarnished gold"),
    "riso": ("fluorescent coral", "process blue", "stencil green"),
    "indigo": ("indigo", "washed denim", "brass"),
    "obsidian": ("lampblack", "burnished gold", "old varnish"),
    "lagoon": ("lagoon blue", "papaya", "coral"),
    "ash rose": ("ash rose", "tea brown", "cold smoke"),
}

Grammar = Mapping[str, tuple[str, ...]]
POETIC: Grammar = {
    "caption": (
        "{opening}\n{turn}\n{close}",
        "{opening}\n{close}",
        "{turn}\n{opening}\n{close}",
    ),
    "opening": (
        "{subject}, {seen},\nand {hue} {verb} where {hue2} was.",
        "First {hue}, then {hue2}, then {subject}.",
        "{subject}: {seen}.",
        "What was {subject} an hour ago is {hue} now.",
        "Between {hue} and {hue2}, {subject}.",
    ),
    "seen": (
        "seen once and not again",
        "remembered from the wrong side",
        "as the paper dreams it",
        "slow as a tide with nowhere to be",
        "told in as few lines as it will bear",
        "folded small enough to carry",
    ),
    "verb": ("waits", "gathers", "comes loose", "learns to stay", "burns low", "leans in", "keeps its breath"),
    "turn": (
        "Nothing in it {moves}; everything {moves2}.",
        "Look long: the {part} {moves}.",
        "The {part} {moves}, the {part2} does not mind.",
        "Someone left the {part} open, and the evening came in.",
        "It has the patience of the {part}.",
    ),
    "part": ("edge", "margin", "light", "silence", "horizon", "grain", "left half", "shadow", "middle distance"),
    "part2": ("ground", "frame", "darkness", "white", "rest of it", "corner"),
    "moves": ("moves", "arrives", "breathes", "remembers", "hums", "turns home"),
    "moves2": ("is about to", "already has", "leans that way", "answers"),
    "close": (
        "Number {mark}. There is no other.",
        "It will be here, exactly so, whenever {mark} is spoken.",
        "Drawn once, from {mark}.",
        "After that, only {hue}.",
        "Keep it dry. Keep it {hue}.",
    ),
}
TECHNICAL: Grammar = {
    "caption": ("{what} {how} {close}", "{what} {close}", "{how} {what} {close}"),
    "what": (
        "Study after “{raw}”: {count} {element} in {hue}, {hue2} and {hue3}.",
        "“{raw}”, resolved into {count} {element}; the ground is {hue2}, the accent {hue}.",
        "{count} {element}, one instruction (“{raw}”), a palette of {hue} and {hue2}.",
    ),
    "element": ("strokes", "contours", "planes", "orbits", "cells", "intervals", "passes of ink", "small decisions"),
    "how": (
        "Every mark follows from the hash; none was moved by hand.",
        "The field was sampled {count} times and left alone.",
        "Chance enters once, at {mark}, and then the rules hold.",
        "The composition settles a third of the way {way}, where the field is calmest.",
        "Density {share} per cent; the rest is paper.",
    ),
    "way": ("down", "across", "from the left", "from the lower edge"),
    "close": (
        "Generation {mark}, unrepeatable and repeatable at will.",
        "Seeded {mark}. Same seed, same picture, on any machine.",
        "Reference {mark}.",
        "Deterministic, edition of one, {mark}.",
    ),
}
GRAMMARS: dict[str, Grammar] = {"poetic": POETIC, "technical": TECHNICAL}


def grown(grammar: Grammar, stream: Stream, facts: Mapping[str, str], symbol: str = "caption") -> str:
    """A sentence of the grammar; what is a fact is put in as it stands and never read as grammar."""

    def part(match: re.Match[str]) -> str:
        name = match.group(1)
        return facts[name] if name in facts else grown(grammar, stream, facts, name)

    return re.sub(r"\{(\w+)\}", part, stream.pick(grammar[symbol]))


def tidy(prompt: str, longest: int) -> str:
    """One line of printable characters, cut at a word."""
    line = " ".join("".join(c if c.isprintable() else " " for c in prompt).split())
    if len(line) <= longest:
        return line
    return line[:longest].rsplit(" ", 1)[0].rstrip(" ,;:.-") + "…"


def written(generation_hash: str, payload: dict[str, Any]) -> str:
    prompt = text(payload, "prompt", default="", longest=limits.CAPTION_PROMPT)
    tone = choice(payload, "tone", TONES)
    seed = whole(payload, "seed", default=-1, low=-1, high=2**64 - 1)
    stream = Stream.of("caption", generation_hash, str(seed), prompt)
    weights = mood_of(prompt, {}, stream.named("mood")).palette_weights
    hues = HUES[stream.named("palette").pick(list(weights), list(weights.values()))]
    order = stream.named("hues").order(len(hues))
    raw = tidy(prompt, 80) or "a picture without a name"
    mark = tidy(generation_hash[:8], 8) or "00000000"
    facts = {
        "raw": raw.strip("“”\"'.,;: ") or raw,
        "subject": uncapitalised(raw.rstrip(".,;:!? ") or raw),
        "hue": hues[order[0]],
        "hue2": hues[order[1]],
        "hue3": hues[order[2]],
        "mark": mark,
        "count": str(stream.named("count").integer(13, 987)),
        "share": str(stream.named("share").integer(11, 89)),
    }
    chosen = tone or stream.named("tone").pick(TONES, [3, 2])
    return capitalised(grown(GRAMMARS[chosen], stream.named(chosen), facts))


def uncapitalised(line: str) -> str:
    """For the middle of a sentence; a word all in capitals, or a name of one letter, stays."""
    return line[:1].lower() + line[1:] if line[1:2].islower() else line


def capitalised(lines: str) -> str:
    """Each sentence with a capital, whatever the prompt began with."""
    return re.sub(r"(^|[.?!]\s+)(\w)", lambda match: match.group(1) + match.group(2).upper(), lines)


def render(generation_hash: str, payload: dict[str, Any], inputs: dict[str, bytes]) -> str:
    del inputs
    return written(generation_hash, payload)
