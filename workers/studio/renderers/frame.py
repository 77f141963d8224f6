"""`frame`: a picture behind a passe-partout with a cut bevel, its title set below it, in a frame of wood or metal."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from workers.kit.files import File
from workers.studio.renderers import lettering, limits, png
from workers.studio.renderers.exact import Field, smoothstep
from workers.studio.renderers.fields import Refused, text
from workers.studio.renderers.noise import surface
from workers.studio.renderers.palette import RGB, lightness, mix, rgb
from workers.studio.renderers.stream import Stream

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 40_000_000
LONGEST, SHORTEST = 2048, 256
"""Sides in pixels: larger pictures are reduced to the one, smaller ones enlarged whole times to the other."""
TRACKING = 0.2


@dataclass(frozen=True)
class Finish:
    name: str
    colour: RGB
    grain: float
    """How much wood shows, in steps of 255."""
    sheen: float
    width: float
    """Of the rail, as a share of the picture's short side."""


FINISHES = (
    Finish("black", rgb("#1b1a19"), 5, 26, 0.030),
    Finish("walnut", rgb("#573a28"), 17, 22, 0.036),
    Finish("oak", rgb("#bf9b6d"), 17, 18, 0.034),
    Finish("ash", rgb("#ded3c0"), 10, 14, 0.032),
    Finish("white", rgb("#ece9e3"), 2, 14, 0.032),
    Finish("brass", rgb("#b08d4c"), 5, 46, 0.018),
)


def opened(data: bytes) -> Image.Image:
    """The picture upright, in RGB or RGBA, if it is one that may be opened at all.

    Raises:
        Refused: INPUT_INVALID for what is no picture, PAYLOAD_TOO_LARGE for one of more than 40 million pixels;
            the size is read from the header, before anything is unpacked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise Refused(
                    "PAYLOAD_TOO_LARGE",
                    f"/image: has {image.width} by {image.height} pixels: more than {MOST_PIXELS} can not be framed",
                )
            image.draft("RGB", (LONGEST, LONGEST))
            image.load()
            upright = ImageOps.exif_transpose(image)
            return upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except Image.DecompressionBombError as bomb:
        raise Refused("PAYLOAD_TOO_LARGE", "/image: has far more pixels than can be framed") from bomb
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, OverflowError) as fault:
        raise Refused("INPUT_INVALID", f"/image: can't be read as {', '.join(FORMATS)}") from fault


def sized(image: Image.Image) -> Image.Image:
    long, short = max(image.size), min(image.size)
    if long > LONGEST:
        size = tuple(max(1, side * LONGEST // long) for side in image.size)
        return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    times = min(SHORTEST // short, LONGEST // long)
    if times > 1:
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    return image


def board(stream: Stream, image: Image.Image) -> RGB:
    """The colour of the passe-partout: a white with a breath of the picture's own colour; for a dark one maybe dark."""
    mean = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, tuple), "an RGB picture's pixel is a tuple"
    own: RGB = (int(mean[0]), int(mean[1]), int(mean[2]))
    if lightness(own) < 0.45 and stream.chance(0.35):
        return mix(rgb("#1d1c1c"), own, 0.18)
    return mix(
        rgb(stream.pick(["#faf8f3", "#f6f1e6", "#f1efec"])), mix(own, (255, 255, 255), 0.5), stream.between(0.05, 0.15)
    )


def rail(stream: Stream, finish: Finish, width: int, length: int, light: float) -> Field:
    """One side of the frame as (width, length, 3), its outer edge first; `light` is how much it faces the window."""
    across = ((np.arange(width) + 0.5) / width).astype(np.float32)[:, None]
    slope = np.float32(1) - np.abs(across * np.float32(2) - np.float32(0.9))
    tone = slope * np.float32(finish.sheen) * np.float32(0.5 + light) - np.float32(finish.sheen * 0.35)
    tone = tone - np.float32(28) * smoothstep(0.93, 1.0, across) - np.float32(16) * (1 - smoothstep(0.0, 0.06, across))
    fibre = surface(stream.named("fibre"), (width, length), (7.0, 7.0 * width / length * 9))
    pore = surface(stream.named("pore"), (width, length), (26.0, 26.0 * width / length * 8))
    tone = tone + (fibre * np.float32(0.6) + pore * np.float32(0.5)) * np.float32(finish.grain)
    wood: Field = np.array(finish.colour, dtype=np.float32) + tone[..., None]
    return wood


def framed(canvas: Field, stream: Stream, finish: Finish, width: int) -> None:
    """Draws the four mitred rails around the edge of a (height, width, 3) picture, in place."""
    sides = (("top", 0, 0.5), ("right", 1, -0.15), ("bottom", 2, -0.35), ("left", 3, 0.25))
    for name, turns, light in sides:
        edge = np.rot90(canvas, turns)[:width]
        length = edge.shape[1]
        wood = rail(stream.named(name), finish, width, length, light)
        across, along = np.arange(width)[:, None], np.arange(length)[None, :]
        inside = (along >= across) & (along < length - across)
        wood -= ((along == across) * np.float32(14))[..., None]  # the seam of the mitre
        edge[...] = np.where(inside[..., None], wood, edge)


def composed(stream: Stream, image: Image.Image, title: str, mark: str) -> tuple[Image.Image, str]:
    """The framed picture and the name of the frame's finish."""
    finish = stream.pick(FINISHES, [4, 3, 3, 2, 2, 1.5])
    paper = board(stream, image)
    dark, short = lightness(paper) < 0.5, min(image.size)
    width, margin, foot = max(6, round(finish.width * short)), round(0.115 * short), round(0.205 * short)
    bevel = max(2, round(0.0055 * short))
    left = top = width + margin
    size = image.width + 2 * left, image.height + left + width + foot
    sheet = Image.new("RGB", size, paper)
    sheet.paste(texture(stream, size, paper))
    cut(sheet, (left - bevel, top - bevel, left + image.width + bevel, top + image.height + bevel), bevel, dark=dark)
    sheet.paste(image, (left, top), image if image.mode == "RGBA" else None)
    ink = mix(paper, rgb("#f4efe4") if dark else rgb("#26231f"), 0.86)
    label(sheet, title, mark, ink, mix(paper, ink, 0.55), (top + image.height + bevel, size[1] - width), image.width)
    pixels = np.asarray(shaded(sheet, width, short)).astype(np.float32)
    framed(pixels, stream.named("rails"), finish, width)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB"), finish.name


def texture(stream: Stream, size: tuple[int, int], paper: RGB) -> Image.Image:
    """Cotton board: the paper's colour with fibres just seen."""
    fine = Image.frombytes("L", size, stream.named("board").noise_bytes(size[0] * size[1]).tobytes())
    soft = np.asarray(fine.filter(ImageFilter.BoxBlur(1))).astype(np.int16) - 127
    grained = np.array(paper, dtype=np.int16) + (soft // 14)[..., None]
    return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8), "RGB")


def cut(sheet: Image.Image, box: tuple[int, int, int, int], bevel: int, *, dark: bool) -> None:
    """The slanted white core of the board around the window, lit from the upper left."""
    draw = ImageDraw.Draw(sheet)
    x0, y0, x1, y1 = box
    b = bevel
    core = (226, 222, 214) if dark else (250, 249, 246)
    shades = [mix(core, (90, 86, 80), amount) for amount in (0.34, 0.22, 0.0, 0.06)]
    draw.polygon([(x0, y0), (x1, y0), (x1 - b, y0 + b), (x0 + b, y0 + b)], fill=shades[0])
    draw.polygon([(x0, y0), (x0 + b, y0 + b), (x0 + b, y1 - b), (x0, y1)], fill=shades[1])
    draw.polygon([(x1, y0), (x1, y1), (x1 - b, y1 - b), (x1 - b, y0 + b)], fill=shades[3])
    draw.polygon([(x0, y1), (x1, y1), (x1 - b, y1 - b), (x0 + b, y1 - b)], fill=shades[2])


def label(sheet: Image.Image, title: str, mark: str, ink: RGB, pale: RGB, between: tuple[int, int], room: int) -> None:
    """The title and, smaller, the mark, centred in the foot of the board."""
    short = min(room, between[1])
    size = max(9, round(0.028 * short))
    small = max(7, round(size * 0.56))
    words, size = lettering.fitted(title, size, TRACKING, room * 0.92)
    middle = between[0] + (between[1] - between[0]) * 0.47
    lines = [(words, size, ink, middle)] if words else []
    lines.append((lettering.settable(mark), small, pale, middle + (0.55 * size + 1.25 * small if words else 0)))
    for line, height, colour, base in lines:
        mask = lettering.set_line(line, height, TRACKING)
        place = (sheet.width - mask.width) // 2, round(base - 1.05 * height)
        sheet.paste(Image.new("RGB", mask.size, colour), place, mask)


def shaded(sheet: Image.Image, width: int, short: int) -> Image.Image:
    """The shadow that the frame throws on the board, deeper from above and from the left."""
    shadow = Image.new("L", sheet.size, 255)
    opening = (width, width, sheet.width - width, sheet.height - width)
    fall = max(2, round(0.010 * short))
    shadow.paste(0, (opening[0] + fall, opening[1] + fall, opening[2] + fall // 2, opening[3] + fall // 2))
    soft = shadow.filter(ImageFilter.BoxBlur(fall)).filter(ImageFilter.BoxBlur(fall // 2 + 1))
    veil = soft.point([255 - value * 105 // 255 for value in range(256)])
    return ImageChops.multiply(sheet, Image.merge("RGB", (veil, veil, veil)))


def render(generation_hash: str, payload: dict[str, Any], inputs: dict[str, bytes]) -> File:
    title = text(payload, "title", default="", longest=limits.FRAME_TITLE)
    image = sized(opened(inputs["image"]))
    stream = Stream.of("frame", generation_hash, title)
    picture, finish = composed(stream, image, title, " ".join(generation_hash[:8]))
    data = png.encode(picture, {"frame": finish})
    return File("frame.png", "image/png", data)
