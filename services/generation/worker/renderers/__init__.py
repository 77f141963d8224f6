"""The built-in renderers: pure functions of the generation's hash, the step's payload and the files it refers to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.generation.worker.renderers import caption, frame, sketch
from services.generation.worker.renderers.rendered import Rendered

Render = Callable[[str, dict[str, Any], dict[str, bytes]], Rendered]


@dataclass(frozen=True)
class Renderer:
    render: Render
    files: tuple[str, ...] = ()
    """Fields of the payload that hold a file's URL; they reach `render` as bytes, by the field's name."""


RENDERERS: dict[str, Renderer] = {
    "sketch": Renderer(sketch.render),
    "frame": Renderer(frame.render, files=("image",)),
    "caption": Renderer(caption.render),
}
