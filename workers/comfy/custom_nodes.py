"""The platform's custom nodes, and the built-in nodes that replace them: the table `RULES`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Inputs = Mapping[str, Any]
"""Of a node, by name: values, and links `[node id, output index]`."""


class Replacement(NamedTuple):
    """The replacement of a node: another class and inputs, or only the `values` of its outputs."""

    class_type: str = ""
    inputs: Mapping[str, Any] = {}
    before: Mapping[str, tuple[str, Mapping[str, Any]]] = {}
    """Nodes that it needs before it: class and inputs by a name that begins with @, to which links may lead."""
    values: tuple[Any, ...] = ()
    """The values that links to the node's outputs become; the node is left out."""


Rule = Callable[[Inputs], Replacement]


def is_link(value: Any) -> bool:
    """Whether an input's value is `[node id, output index]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _renamed(class_type: str, *same: str, **renamed: str) -> Rule:
    """The built-in class that takes the inputs `same`, and others under new names; the rest is left out."""
    names = {name: name for name in same} | renamed

    def rule(node_inputs: Inputs) -> Replacement:
        return Replacement(class_type, {new: node_inputs[old] for old, new in names.items() if old in node_inputs})

    return rule


def _load_image(node_inputs: Inputs) -> Replacement:
    return Replacement("LoadImage", {"image": node_inputs.get("url") or node_inputs.get("image", "")})


def _save_animation(node_inputs: Inputs) -> Replacement:
    settings = {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"}
    inputs = {name: node_inputs.get(name, value) for name, value in settings.items()}
    return Replacement("SaveAnimatedWEBP", {"images": node_inputs.get("images"), "filename_prefix": "", **inputs})


def _save_images(node_inputs: Inputs) -> Replacement:
    return Replacement("SaveImage", {"images": node_inputs.get("images"), "filename_prefix": ""})


def _combine_video(node_inputs: Inputs) -> Replacement:
    """Frames become an MP4, or an animated picture; `loop_count`, `pingpong` and `crf` have no counterpart."""
    rate = node_inputs.get("frame_rate", 8)
    if str(node_inputs.get("format", "")).startswith("image/"):
        return _save_animation({"images": node_inputs.get("images"), "fps": rate})
    frames = {name: value for name in ("images", "audio") if (value := node_inputs.get(name)) is not None}
    video = {"video": ["@video", 0], "filename_prefix": "", "format": "mp4", "codec": "h264"}
    return Replacement("SaveVideo", video, {"@video": ("CreateVideo", {**frames, "fps": rate})})


def _downloaded(node_inputs: Inputs) -> Replacement:
    """A server that is chosen for the graph has the file already: both outputs are its name."""
    name = node_inputs.get("filename", "")
    return Replacement(values=(name, name))


RULES: Mapping[str, Rule] = {
    "EmProps_Image_Loader": _load_image,
    "EmProps_Cloud_Storage_Saver": _save_images,
    "EmProps_S3_Saver": _save_images,
    "EmProps_Cloud_Animated_WEBP_Saver": _save_animation,
    "EmProps_Text_Cloud_Storage_Saver": _renamed("PreviewAny", text="source"),
    "EmProps_Text_S3_Saver": _renamed("PreviewAny", text="source"),
    "EmProps_Asset_Downloader": _downloaded,
    "AssetDownloader": _downloaded,
    "EmProps_Checkpoint_Loader": _renamed("CheckpointLoaderSimple", "ckpt_name"),
    "EmProps_VAE_Loader": _renamed("VAELoader", "vae_name"),
    "EmProps_Lora_Loader": _renamed("LoraLoader", "model", "clip", "lora_name", "strength_model", "strength_clip"),
    "EmProps_CLIP_Loader": _renamed("CLIPLoader", "clip_name", "type", "device"),
    "EmProps_DualCLIP_Loader": _renamed("DualCLIPLoader", "clip_name1", "clip_name2", "type", "device"),
    "EmProps_QuadrupleCLIP_Loader": _renamed(
        "QuadrupleCLIPLoader", "clip_name1", "clip_name2", "clip_name3", "clip_name4"
    ),
    "EmProps_CLIP_Vision_Loader": _renamed("CLIPVisionLoader", clip_vision_name="clip_name"),
    "EmProps_Style_Model_Loader": _renamed("StyleModelLoader", "style_model_name"),
    "EmProps_Diffusion_Model_Loader": _renamed("UNETLoader", "unet_name", "weight_dtype"),
    "EmProps_ControlNet_Loader": _renamed("ControlNetLoader", controlnet_name="control_net_name"),
    "EmProps_Load_Upscale_Model": _renamed("UpscaleModelLoader", upscaler_name="model_name"),
    "EmProps_ImageUpscaleWithModel": _renamed("ImageUpscaleWithModel", "upscale_model", "image"),
    "VHS_VideoCombine": _combine_video,
    "ShowText|pysssss": _renamed("PreviewAny", text="source"),
    "Display Any (rgthree)": _renamed("PreviewAny", "source"),
}
ALWAYS = frozenset({"EmProps_Text_Cloud_Storage_Saver", "EmProps_Text_S3_Saver"})
"""Replaced on every server: where they exist, the history has the place of the text, and not the text."""
