"""`sketch`: one picture of generative art, a pure function of the generation's hash and the step's payload."""

from typing import Any

import numpy as np
from PIL import Image

from workers.kit.files import File
from workers.studio.renderers import png
from workers.studio.renderers.canvas import Canvas
from workers.studio.renderers.fields import choice, text, whole
from workers.studio.renderers.limits import SKETCH_PROMPT, SKETCH_SIDE
from workers.studio.renderers.mood import mood_of
from workers.studio.renderers.mount import mounted
from workers.studio.renderers.palette import BY_NAME as PALETTE_BY_NAME
from workers.studio.renderers.stream import Stream
from workers.studio.renderers.styles import BY_NAME as STYLE_BY_NAME
from workers.studio.renderers.styles import STYLES


def painting(generation_hash: str, payload: dict[str, Any]) -> tuple[Image.Image, dict[str, str]]:
    """The picture, and the choices that made it."""
    prompt = text(payload, "prompt", default="", longest=SKETCH_PROMPT)
    low, high = SKETCH_SIDE
    width, height = (whole(payload, side, default=1024, low=low, high=high) for side in ("width", "height"))
    seed = whole(payload, "seed", default=-1, low=-1, high=2**64 - 1)
    stream = Stream.of("sketch", generation_hash, str(seed), prompt)
    wish = text(payload, "palette", default="auto", longest=200).strip().lower()
    steering = prompt if wish == "auto" else f"{prompt} {wish}"
    mood = mood_of(steering, {style.name: style.words for style in STYLES}, stream.named("mood"))
    style_wish = choice(payload, "style", tuple(STYLE_BY_NAME))
    chosen = stream.named("style").pick(list(mood.style_weights), list(mood.style_weights.values()))
    style = STYLE_BY_NAME[style_wish or chosen]
    chosen = stream.named("palette").pick(list(mood.palette_weights), list(mood.palette_weights.values()))
    palette = PALETTE_BY_NAME.get(wish) or PALETTE_BY_NAME[chosen]
    canvas = Canvas(width, height, stream.named(style.name), palette, mood.density, mood.energy)
    image = style.draw(canvas)
    if style.bleeds:
        image = mounted(canvas, image)
    return printed(image, stream.named("grain"), style.grain), {"style": style.name, "palette": palette.name}


def printed(image: Image.Image, stream: Stream, grain: float) -> Image.Image:
    """With the grain of a film and a breath of darkness towards the corners, as ink on paper has."""
    width, height = image.size
    pixels = np.asarray(image).astype(np.int16)
    noise = stream.noise_bytes(2 * width * height).reshape(2, height, width).astype(np.int16)
    amount = int(grain * 256 / 104)  # the sum of two bytes deviates by 104
    film = ((noise[0] + noise[1] - 255) * amount) >> 8
    y = np.abs(np.arange(height) * 2 - height + 1) * 256 // height
    x = np.abs(np.arange(width) * 2 - width + 1) * 256 // width
    edge = ((y * y)[:, None] + (x * x)[None, :]) >> 13  # 0 to 16
    pixels += (film - edge.astype(np.int16))[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def render(generation_hash: str, payload: dict[str, Any], inputs: dict[str, bytes]) -> File:
    del inputs
    image, choices = painting(generation_hash, payload)
    return File("sketch.png", "image/png", png.encode(image, choices))
