"""The built-in renderers: pure functions of the generation's hash, the step's payload and the files it refers to.

Each is in a module of its own, which is imported where it is used: in the rendering processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from workers.kit.files import File

Render = Callable[[str, dict[str, Any], dict[str, bytes]], File | str]


@dataclass(frozen=True)
class Renderer:
    module: str
    files: tuple[str, ...] = ()
    """Fields of the payload that hold a file's URL; they reach `render` as bytes, by the field's name."""

    @property
    def render(self) -> Render:
        render: Render = import_module(self.module).render
        return render


RENDERERS: dict[str, Renderer] = {
    "sketch": Renderer(f"{__name__}.sketch"),
    "frame": Renderer(f"{__name__}.frame", files=("image",)),
    "caption": Renderer(f"{__name__}.caption"),
}
