"""Graphs of nodes that need no model, on a real ComfyUI and on the stand-in alike."""

import itertools
from typing import Any

_numbers = itertools.count(1)
Graph = dict[str, Any]


def node(class_type: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"class_type": class_type, "inputs": inputs}
    return {**entry, "_meta": {"title": title}} if title else entry


def image(color: int = 0x123456, *, size: int = 16, count: int = 1) -> dict[str, Any]:
    return node("EmptyImage", width=size, height=size, batch_size=count, color=color)


def inverted(color: int = 0x123456, *, count: int = 1) -> Graph:
    return {
        "1": image(color, count=count),
        "2": node("ImageInvert", "Turn round", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="any"),
    }


def slow(nodes: int = 6) -> Graph:
    """On a real ComfyUI without a GPU it takes some seconds, and nothing of it is cached; the stand-in has its gate."""
    blurs = {
        str(number): node("ImageBlur", image=[str(number - 1), 0], blur_radius=31, sigma=9.0)
        for number in range(1, nodes + 1)
    }
    return {
        "0": image(next(_numbers), size=512),
        **blurs,
        "end": node("SaveImage", images=[str(nodes), 0], filename_prefix="slow"),
    }
