"""What the stand-in's nodes do: enough of ComfyUI's model-free ones for a result that a test can look at."""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from PIL import Image, ImageOps


class Made(NamedTuple):
    """Of a node that ends a graph: files by ending and content, in a list of that name, or a text."""

    name: str
    files: list[tuple[str, bytes]]
    text: str | None = None
    folder: str = "output"


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _empty_image(given: Mapping[str, Any]) -> list[Image.Image]:
    color = int(given["color"])
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return [Image.new("RGB", (given["width"], given["height"]), rgb)] * int(given["batch_size"])


def _webp(given: Mapping[str, Any]) -> Made:
    content = io.BytesIO()
    first, *rest = given["images"]
    first.save(content, "WEBP", save_all=True, append_images=rest)
    return Made("images", [(".webp", content.getvalue())])


NODES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "EmptyImage": _empty_image,
    "ImageInvert": lambda given: [ImageOps.invert(image) for image in given["image"]],
    "ImageBlur": lambda given: given["image"],
    "ImageScale": lambda given: [image.resize((given["width"], given["height"])) for image in given["image"]],
    "ImageCrop": lambda given: given["image"],
    "ImageBatch": lambda given: [*given["image1"], *given["image2"]],
    "ImageCompositeMasked": lambda given: given["destination"],
    "SolidMask": lambda given: None,
    "MaskToImage": lambda given: [Image.new("RGB", (8, 8))],
    "PrimitiveString": lambda given: given["value"],
    "EmptyLatentImage": lambda given: b"latent",
    "EmptyAudio": lambda given: b"fLaC",
    "CreateVideo": lambda given: b"\0\0\0\x20ftypisom" + bytes([len(given["images"])]),
    "SaveImage": lambda given: Made("images", [(".png", _png(image)) for image in given["images"]]),
    "PreviewImage": lambda given: Made("images", [(".png", _png(image)) for image in given["images"]], folder="temp"),
    "SaveAnimatedWEBP": _webp,
    "SaveVideo": lambda given: Made("images", [(".mp4", given["video"])]),
    "SaveAudio": lambda given: Made("audio", [(".flac", given["audio"])]),
    "SaveLatent": lambda given: Made("latents", [(".latent", given["samples"])]),
    "PreviewAny": lambda given: Made("text", [], str(given["source"])),
}
