"""What a style draws on: a size, a stream of chance, a palette, and how full and how wild the picture should be."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from workers.studio.renderers.exact import Field
from workers.studio.renderers.palette import RGB, Palette
from workers.studio.renderers.stream import Stream

Points = npt.NDArray[np.float64]
"""(n, 2) of x, y in units of the short side, from the picture's middle, y downwards."""


@dataclass(frozen=True)
class Canvas:
    width: int
    height: int
    stream: Stream
    palette: Palette
    density: float
    """0 sparse to 1 crowded."""
    energy: float
    """0 calm to 1 wild."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def short(self) -> int:
        return min(self.width, self.height)

    @property
    def reach(self) -> tuple[float, float]:
        """Half the width and half the height, in units."""
        return self.width / self.short / 2, self.height / self.short / 2

    def ground(self) -> Field:
        """Float32 (height, width, 3), 0 to 255, all paper."""
        image = np.empty((self.height, self.width, 3), dtype=np.float32)
        image[:] = np.array(self.palette.paper, dtype=np.float32)
        return image


class Sheet:
    """Vector drawing at twice the size, then halved: smooth edges from whole-number arithmetic."""

    SCALE = 2

    def __init__(self, canvas: Canvas, colour: RGB) -> None:
        self._size = canvas.width * self.SCALE, canvas.height * self.SCALE
        self.unit = canvas.short * self.SCALE
        self._middle = np.array(self._size, dtype=np.float64) / 2
        self._image = Image.new("RGB", self._size, colour)
        self._draw = ImageDraw.Draw(self._image)

    def _flat(self, points: Points) -> list[float]:
        flat: list[float] = (points * self.unit + self._middle).ravel().tolist()
        return flat

    def polygon(self, points: Points, colour: RGB) -> None:
        self._draw.polygon(self._flat(points), fill=colour)

    def line(self, points: Points, colour: RGB, width: float) -> None:
        self._draw.line(self._flat(points), fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: RGB) -> None:
        cx, cy = x * self.unit + self._middle[0], y * self.unit + self._middle[1]
        r = radius * self.unit
        self._draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour)

    def ring(self, x: float, y: float, radius: float, colour: RGB, width: float) -> None:
        cx, cy = x * self.unit + self._middle[0], y * self.unit + self._middle[1]
        r = radius * self.unit
        box = (cx - r, cy - r, cx + r, cy + r)
        self._draw.ellipse(box, outline=colour, width=max(1, round(width * self.unit)))

    def slice(self, x: float, y: float, radius: float, start: float, end: float, colour: RGB) -> None:
        """A pie slice, angles in degrees, clockwise from three o'clock."""
        cx, cy = x * self.unit + self._middle[0], y * self.unit + self._middle[1]
        r = radius * self.unit
        self._draw.pieslice((cx - r, cy - r, cx + r, cy + r), start, end, fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: RGB) -> None:
        """One narrower than a pixel is left out."""
        x0, x1 = (round(x * self.unit + self._middle[0]) for x in (left, right))
        y0, y1 = (round(y * self.unit + self._middle[1]) for y in (top, bottom))
        if x0 < x1 and y0 < y1:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)

    def finished(self) -> Image.Image:
        return self._image.reduce(self.SCALE)


def lay(image: Field, colour: RGB | Field, cover: Field) -> None:
    """Paints a colour over an image where `cover` (0 to 1, broadcast to height by width) says, in place."""
    for channel in range(3):
        plane = image[..., channel]
        goal: Field = (
            colour[..., channel] if isinstance(colour, np.ndarray) else np.full(1, colour[channel], np.float32)
        )
        plane += (goal - plane) * cover


def to_image(image: Field) -> Image.Image:
    return Image.fromarray(np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8), "RGB")
