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


def _empty_image(inputs: Mapping[str, Any]) -> list[Image.Image]:
    color = int(inputs["color"])
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return [Image.new("RGB", (inputs["width"], inputs["height"]), rgb)] * int(inputs["batch_size"])


def _webp(inputs: Mapping[str, Any]) -> Made:
    content = io.BytesIO()
    first, *rest = inputs["images"]
    first.save(content, "WEBP", save_all=True, append_images=rest)
    return Made("images", [(".webp", content.getvalue())])


NODES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "EmptyImage": _empty_image,
    "ImageInvert": lambda inputs: [ImageOps.invert(image) for image in inputs["image"]],
    "ImageBlur": lambda inputs: inputs["image"],
    "ImageScale": lambda inputs: [image.resize((inputs["width"], inputs["height"])) for image in inputs["image"]],
    "ImageCrop": lambda inputs: inputs["image"],
    "ImageBatch": lambda inputs: [*inputs["image1"], *inputs["image2"]],
    "ImageCompositeMasked": lambda inputs: inputs["destination"],
    "SolidMask": lambda inputs: None,
    "MaskToImage": lambda inputs: [Image.new("RGB", (8, 8))],
    "PrimitiveString": lambda inputs: inputs["value"],
    "EmptyLatentImage": lambda inputs: b"latent",
    "EmptyAudio": lambda inputs: b"fLaC",
    "CreateVideo": lambda inputs: b"\0\0\0\x20ftypisom" + bytes([len(inputs["images"])]),
    "SaveImage": lambda inputs: Made("images", [(".png", _png(image)) for image in inputs["images"]]),
    "PreviewImage": lambda inputs: Made("images", [(".png", _png(image)) for image in inputs["images"]], folder="temp"),
    "SaveAnimatedWEBP": _webp,
    "SaveVideo": lambda inputs: Made("images", [(".mp4", inputs["video"])]),
    "SaveAudio": lambda inputs: Made("audio", [(".flac", inputs["audio"])]),
    "SaveLatent": lambda inputs: Made("latents", [(".latent", inputs["samples"])]),
    "PreviewAny": lambda inputs: Made("text", [], str(inputs["source"])),
}
