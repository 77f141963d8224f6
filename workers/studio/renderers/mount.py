"""How a full-bleed picture sits on its sheet: to the edges, or through a window cut into paper."""

import numpy as np
from PIL import Image

from workers.studio.renderers.canvas import Canvas, Sheet
from workers.studio.renderers.exact import cosine, sine

WINDOWS = ("full", "disc", "arch", "panels", "inset")
WEIGHTS = (6.0, 1.0, 1.2, 1.2, 1.2)


def mounted(canvas: Canvas, image: Image.Image) -> Image.Image:
    stream = canvas.stream.named("mount")
    window = stream.pick(WINDOWS, WEIGHTS)
    if window == "full":
        return image
    half_width, half_height = canvas.reach
    sheet = Sheet(canvas, (0, 0, 0))
    white = (255, 255, 255)
    margin = 0.085
    left, top = half_width - margin, half_height - margin
    if window == "disc":
        sheet.dot(0, 0, 0.5 - margin, white)
    elif window == "arch":
        across = min(left, top * 0.74)
        angle = np.arange(65) / 128 + 0.5
        dome = np.stack([across * cosine(angle), across * sine(angle) - top + across], axis=1)
        sheet.polygon(np.concatenate([dome, [[across, top], [-across, top]]]), white)
    elif window == "panels":
        count, gap = stream.integer(2, 4), 0.02
        wide = (2 * left + gap) / count
        for index in range(count):
            sheet.box(-left + index * wide, -top, -left + (index + 1) * wide - gap, top, white)
    else:
        sheet.box(-left, -top, left, top, white)
    mask = sheet.finished().getchannel("R")
    return Image.composite(image, Image.new("RGB", image.size, canvas.palette.paper), mask)
