"""The model files that a ComfyUI graph loads: known from its loader nodes and from `required_models.json`."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.generation.domain.workflow.template import Model

LOADERS: Mapping[str, Mapping[str, str]] = {
    "CheckpointLoaderSimple": {"ckpt_name": "checkpoints"},
    "CheckpointLoader": {"ckpt_name": "checkpoints"},
    "EmProps_Checkpoint_Loader": {"ckpt_name": "checkpoints"},
    "VAELoader": {"vae_name": "vae"},
    "EmProps_VAE_Loader": {"vae_name": "vae"},
    "LoraLoader": {"lora_name": "loras"},
    "LoraLoaderModelOnly": {"lora_name": "loras"},
    "EmProps_Lora_Loader": {"lora_name": "loras"},
    "UNETLoader": {"unet_name": "diffusion_models"},
    "UnetLoaderGGUF": {"unet_name": "diffusion_models"},
    "EmProps_Diffusion_Model_Loader": {"unet_name": "diffusion_models"},
    "CLIPLoader": {"clip_name": "text_encoders"},
    "EmProps_CLIP_Loader": {"clip_name": "text_encoders"},
    "DualCLIPLoader": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
    "EmProps_DualCLIP_Loader": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
    "QuadrupleCLIPLoader": {f"clip_name{n}": "text_encoders" for n in range(1, 5)},
    "EmProps_QuadrupleCLIP_Loader": {f"clip_name{n}": "text_encoders" for n in range(1, 5)},
    "CLIPVisionLoader": {"clip_name": "clip_vision"},
    "EmProps_CLIP_Vision_Loader": {"clip_vision_name": "clip_vision"},
    "StyleModelLoader": {"style_model_name": "style_models"},
    "EmProps_Style_Model_Loader": {"style_model_name": "style_models"},
    "ControlNetLoader": {"control_net_name": "controlnet"},
    "EmProps_ControlNet_Loader": {"controlnet_name": "controlnet"},
    "UpscaleModelLoader": {"model_name": "upscale_models"},
    "EmProps_Load_Upscale_Model": {"upscaler_name": "upscale_models"},
}
"""Of the loader classes of ComfyUI and of the platform: the inputs that name a file, and the folder it is in."""
DOWNLOADERS = frozenset({"EmProps_Asset_Downloader", "AssetDownloader"})
"""Nodes that fetch a model before it is loaded: `url`, `save_to` (its folder), `filename`."""
FOLDERS: Mapping[str, str] = {"unet": "diffusion_models", "clip": "text_encoders", "checkpoint": "checkpoints"}
"""Older names of model folders."""


def models_of(graph: Mapping[str, Any]) -> Iterator[Model]:
    """The files that the graph's loaders name, and those that it downloads itself; repeated ones too."""
    for node in graph.values():
        inputs = node.get("inputs", {})
        for name, folder in LOADERS.get(node["class_type"], {}).items():
            if isinstance(inputs.get(name), str) and inputs[name]:
                yield Model(folder, inputs[name])
    yield from downloads_of(graph)


def downloads_of(graph: Mapping[str, Any]) -> Iterator[Model]:
    """The files that the graph downloads before it loads them, so that no server needs to have them."""
    for node in graph.values():
        inputs = node.get("inputs", {})
        if node["class_type"] in DOWNLOADERS and isinstance(inputs.get("filename"), str):
            yield Model(_folder(str(inputs.get("save_to", ""))), inputs["filename"])


def required_models(document: Any, *, only_static: bool = False) -> Iterator[Model]:
    """Those of `required_models.json`: `{static: {folder: [file]}, dynamic: {folder: [file]}}`; others are left out.

    `only_static`: without those that depend on a step's values, which the graph names once they are set.
    """
    groups = document if isinstance(document, Mapping) else {}
    for name, group in groups.items():
        if only_static and name != "static":
            continue
        for folder, names in group.items() if isinstance(group, Mapping) else ():
            if folder != "invalid" and isinstance(names, list):
                yield from (Model(_folder(folder), file) for file in names if isinstance(file, str))


def _folder(name: str) -> str:
    return FOLDERS.get(name, name)
