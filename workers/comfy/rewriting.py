"""The platform's graphs on a stock ComfyUI: its custom nodes rewritten to built-in ones.

`RULES` is the table, by class of node. A node whose class the server has is left as it is. To support another custom
node, add a rule: a function that returns the nodes which replace it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Graph = dict[str, Any]
"""A ComfyUI graph in the API format: `{node id: {class_type, inputs, _meta}}`."""


class Upload(NamedTuple):
    """A picture that the server must have before the graph runs: its name there goes to an input of a node."""

    node: str
    input: str
    url: str


class Rewritten(NamedTuple):
    graph: Graph
    uploads: list[Upload]
    missing: frozenset[str]
    """Classes that the server does not have, and that no rule replaces."""


class Replacement(NamedTuple):
    """What a rule makes of a node: another class and inputs, or, with `outputs`, nothing but these values."""

    class_type: str = ""
    inputs: Mapping[str, Any] = {}
    outputs: tuple[Any, ...] = ()
    """The values that links to the node's outputs become; the node is left out."""


Rule = Callable[[Mapping[str, Any]], Replacement]


def stock_graph(graph: Mapping[str, Any], classes: Iterable[str], file_prefix: str) -> Rewritten:
    """The graph for a server that has `classes`; saved files' names begin with `file_prefix`.

    Pictures that `LoadImage` nodes name by a URL are uploads; the input keeps the URL until the file's name is known.
    """
    available = frozenset(classes)
    rewritten: Graph = {}
    values: dict[str, tuple[Any, ...]] = {}
    for node_id, node in graph.items():
        inputs = dict(node.get("inputs", {}))
        rule = RULES.get(node["class_type"])
        if rule is None or node["class_type"] in available:
            rewritten[node_id] = {**node, "inputs": inputs}
            continue
        replacement = rule(inputs)
        if replacement.outputs:
            values[node_id] = replacement.outputs
        else:
            rewritten[node_id] = {**node, "class_type": replacement.class_type, "inputs": dict(replacement.inputs)}
    uploads: list[Upload] = []
    for node_id, node in rewritten.items():
        inputs = node["inputs"]
        for name, value in inputs.items():
            inputs[name] = _value(value, values)
        if node["class_type"] in SAVERS:
            inputs["filename_prefix"] = file_prefix
        if node["class_type"] == "LoadImage" and is_url(inputs.get("image")):
            uploads.append(Upload(node_id, "image", inputs["image"]))
    missing = frozenset(node["class_type"] for node in rewritten.values()) - available
    return Rewritten(rewritten, uploads, missing)


def is_url(value: Any) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"}


def is_link(value: Any) -> bool:
    """Whether an input's value is `[node id, output index]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _value(value: Any, values: Mapping[str, tuple[Any, ...]]) -> Any:
    if is_link(value) and value[0] in values and value[1] < len(values[value[0]]):
        return values[value[0]][value[1]]
    return value


SAVERS = frozenset({"SaveImage", "SaveAnimatedWEBP", "SaveAnimatedPNG", "SaveVideo", "SaveWEBM", "SaveAudio"})
"""Stock nodes whose files get names of ours, so that two steps on one server never share a file name."""


def _renamed(class_type: str, *inputs: str) -> Rule:
    """The built-in class that takes the same inputs; those that are not named are left out."""

    def rule(given: Mapping[str, Any]) -> Replacement:
        return Replacement(class_type, {name: given[name] for name in inputs if name in given})

    return rule


def _load_image(given: Mapping[str, Any]) -> Replacement:
    url = given.get("url")
    return Replacement("LoadImage", {"image": url or given.get("image", "")})


def _save_images(given: Mapping[str, Any]) -> Replacement:
    return Replacement("SaveImage", {"images": given.get("images"), "filename_prefix": ""})


def _save_animation(given: Mapping[str, Any]) -> Replacement:
    settings = {"fps": 12.0, "lossless": False, "quality": 90, "method": "default"}
    inputs = {name: given.get(name, value) for name, value in settings.items()}
    return Replacement("SaveAnimatedWEBP", {"images": given.get("images"), "filename_prefix": "", **inputs})


def _show_text(given: Mapping[str, Any]) -> Replacement:
    return Replacement("PreviewAny", {"source": given.get("text")})


def _downloaded(given: Mapping[str, Any]) -> Replacement:
    """A server that is asked for the graph has the file already: both outputs are its name."""
    name = given.get("filename", "")
    return Replacement(outputs=(name, name))


RULES: Mapping[str, Rule] = {
    "EmProps_Image_Loader": _load_image,
    "EmProps_Cloud_Storage_Saver": _save_images,
    "EmProps_S3_Saver": _save_images,
    "EmProps_Cloud_Animated_WEBP_Saver": _save_animation,
    "EmProps_Text_Cloud_Storage_Saver": _show_text,
    "EmProps_Text_S3_Saver": _show_text,
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
    "EmProps_CLIP_Vision_Loader": _renamed("CLIPVisionLoader", "clip_name"),
    "EmProps_Style_Model_Loader": _renamed("StyleModelLoader", "style_model_name"),
    "EmProps_Diffusion_Model_Loader": _renamed("UNETLoader", "unet_name", "weight_dtype"),
    "EmProps_ControlNet_Loader": _renamed("ControlNetLoader", "control_net_name"),
    "EmProps_Load_Upscale_Model": _renamed("UpscaleModelLoader", "model_name"),
    "EmProps_ImageUpscaleWithModel": _renamed("ImageUpscaleWithModel", "upscale_model", "image"),
}
