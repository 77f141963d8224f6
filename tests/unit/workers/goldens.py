"""One work of every renderer and style, and the sha256 that it had when it was frozen."""

import hashlib

from workers.studio.renderers import RENDERERS
from workers.studio.renderers.styles import STYLES

HASH = "5f3a" * 16
GOLDENS: dict[str, str] = {
    "sketch current": "93327205323d6b2daf436adff399c06536243fc86d14baf762c74154c8c22d5e",
    "sketch papercut": "ed2a3c42901eedf4601531d7bfd306104d77f52a119b1b6d2cb9dc8e6e538165",
    "sketch ridges": "5a936a0758a64b46fd2ce254db1066ffcbe6b341722bcec32b96865fd405eb48",
    "sketch attractor": "cb5614039830b11fb276882430bad3fa5ae2814ac1a9b099702a227372f4684e",
    "sketch silk": "76ce43e9dbd25a041fbeee32d4e5a54bfa200bedcc0ec056954007d7fbf2cda4",
    "sketch pebbles": "375406e920d1fc24af8b1aa48ed916bae585cba429a4e8d4a61d54a58ac74c5f",
    "sketch quilt": "ff5d3f37d174174cc79333e5e9f7d6b0d12280521cbf5dd3fff865601674106c",
    "sketch aura": "12d08a2deca9e9d3e4007b97a88c34428b1699220df116e71bffa8a1dcac0b2e",
    "sketch threads": "e21b03dab33d26629832f79c7294da9d6999a70dc5f51a885cdb3997b313d060",
    "frame": "19873e1ae42d1cbd9be41a8e61da299a9108942e8cf1fc29a11575f167bcf8f1",
    "caption": "0061a23cdb10ae23354d20345f610ac2309fad81de42e197798feff836a71127",
}


def golden_digests() -> dict[str, str]:
    """By renderer: the sha256 of the PNG file, or of the text in UTF-8."""
    works: dict[str, bytes] = {}
    for style in STYLES:
        payload = {"prompt": "a harbour at dawn", "style": style.name, "width": 320, "height": 256, "seed": 7}
        works[f"sketch {style.name}"] = _made("sketch", payload)
    image = works["sketch ridges"]
    works["frame"] = _made("frame", {"title": "Hafen früh am Morgen"}, image=image)
    works["caption"] = _made("caption", {"prompt": "a harbour at dawn"})
    return {name: hashlib.sha256(data).hexdigest() for name, data in works.items()}


def _made(service: str, payload: dict[str, object], **inputs: bytes) -> bytes:
    """A renderer's file, or its text in UTF-8."""
    rendered = RENDERERS[service].render(HASH, payload, inputs)
    return rendered.encode() if isinstance(rendered, str) else rendered.read()
