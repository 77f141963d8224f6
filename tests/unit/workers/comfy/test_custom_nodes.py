"""The platform's custom nodes as nodes that a stock ComfyUI has, with inputs that it knows."""

import json
from typing import Any

import pytest

from tests.support.comfy.graphs import image, node
from tests.support.comfy.standin import FIXTURES
from workers.comfy.custom_nodes import RULES
from workers.comfy.rewriting import Upload, stock_graph

INFO: dict[str, Any] = json.loads((FIXTURES / "object_info.json").read_text())
"""Of a real ComfyUI 0.8.0."""
GIVEN: dict[str, dict[str, Any]] = {
    "EmProps_Image_Loader": {"source_type": "public_download", "image": "e.png", "url": "https://a.example/b.png"},
    "EmProps_Cloud_Storage_Saver": {"images": ["1", 0], "provider": "azure", "prefix": "p", "filename": "f.png"},
    "EmProps_S3_Saver": {"images": ["1", 0], "prefix": "p", "filename": "f.png"},
    "EmProps_Cloud_Animated_WEBP_Saver": {"images": ["1", 0], "fps": 6.0, "lossless": True, "quality": 80},
    "EmProps_Text_Cloud_Storage_Saver": {"text": "t", "provider": "azure", "filename": "t.txt"},
    "EmProps_Text_S3_Saver": {"text": "t", "filename": "t.txt"},
    "EmProps_Checkpoint_Loader": {"ckpt_name": "c.safetensors"},
    "EmProps_VAE_Loader": {"vae_name": "v.safetensors"},
    "EmProps_Lora_Loader": {
        "model": ["1", 0],
        "clip": ["1", 1],
        "lora_name": "l.safetensors",
        "strength_model": 1.0,
        "strength_clip": 1.0,
    },
    "EmProps_CLIP_Loader": {"clip_name": "c.safetensors", "type": "flux", "device": "default"},
    "EmProps_DualCLIP_Loader": {"clip_name1": "a", "clip_name2": "b", "type": "flux", "device": "default"},
    "EmProps_QuadrupleCLIP_Loader": {"clip_name1": "a", "clip_name2": "b", "clip_name3": "c", "clip_name4": "d"},
    "EmProps_CLIP_Vision_Loader": {"clip_vision_name": "v.safetensors"},
    "EmProps_Style_Model_Loader": {"style_model_name": "s.safetensors"},
    "EmProps_Diffusion_Model_Loader": {"unet_name": "u.safetensors", "weight_dtype": "default"},
    "EmProps_ControlNet_Loader": {"controlnet_name": "n.safetensors"},
    "EmProps_Load_Upscale_Model": {"upscaler_name": "x.pth"},
    "EmProps_ImageUpscaleWithModel": {"upscale_model": ["1", 0], "image": ["1", 0]},
    "VHS_VideoCombine": {"images": ["1", 0], "frame_rate": 24, "format": "video/h264-mp4", "loop_count": 0},
    "ShowText|pysssss": {"text": "t"},
    "Display Any (rgthree)": {"source": "t"},
}
"""Inputs as the platform's library gives them to its nodes; a file's name is a link to a downloader in most graphs."""
LEFT_OUT = {"EmProps_Asset_Downloader", "AssetDownloader"}


def test_every_rule_is_tried_here() -> None:
    assert set(GIVEN) | LEFT_OUT == set(RULES)


@pytest.mark.parametrize("class_type", GIVEN)
def test_what_takes_a_nodes_place_has_all_inputs_that_comfyui_requires_and_no_others(class_type: str) -> None:
    graph = {"1": image(), "9": node(class_type, **GIVEN[class_type])}
    rewritten = stock_graph(graph, INFO, "files/run")
    assert not rewritten.missing
    for replacement in rewritten.graph.values():
        declared = INFO[replacement["class_type"]]["input"]
        assert set(declared["required"]) <= set(replacement["inputs"])
        assert set(replacement["inputs"]) <= set(declared["required"]) | set(declared.get("optional", {}))


@pytest.mark.parametrize("class_type", GIVEN)
def test_a_node_that_the_server_has_keeps_its_class(class_type: str) -> None:
    graph = {"1": image(), "9": node(class_type, **GIVEN[class_type])}
    is_unchanged = stock_graph(graph, {**INFO, class_type: {}}, "files/run").graph["9"]["class_type"] == class_type
    assert is_unchanged is (not class_type.startswith("EmProps_Text_"))


@pytest.mark.parametrize("class_type", sorted(LEFT_OUT))
def test_a_downloaded_model_is_named_to_its_loader(class_type: str) -> None:
    graph = {
        "30": node(class_type, url="https://a.example/ae.safetensors", save_to="vae", filename="ae.safetensors"),
        "29": node("EmProps_VAE_Loader", vae_name=["30", 1]),
    }
    assert stock_graph(graph, INFO, "x").graph == {"29": node("VAELoader", vae_name="ae.safetensors")}


def test_pictures_are_uploads_and_their_names_go_to_their_loaders() -> None:
    url = "https://a.example/b.png"
    graph = {"1": node("EmProps_Image_Loader", url=url), "2": node("LoadImage", image="already-there.png")}
    rewritten = stock_graph(graph, INFO, "x")
    upload = Upload("1", "image", url)
    assert rewritten.uploads == [upload]
    with_files = rewritten.with_files({upload: "emprops/1.png"})
    assert [with_files[name]["inputs"]["image"] for name in "12"] == ["emprops/1.png", "already-there.png"]
    assert rewritten.graph["1"]["inputs"]["image"] == url, "the next submission uploads it again"


def test_a_loader_that_the_server_has_takes_the_upload_in_place_of_the_url() -> None:
    graph = {"1": node("EmProps_Image_Loader", **GIVEN["EmProps_Image_Loader"])}
    rewritten = stock_graph(graph, {**INFO, "EmProps_Image_Loader": {}}, "x")
    assert rewritten.uploads == [Upload("1", "image", "https://a.example/b.png")]
    assert rewritten.graph["1"]["inputs"]["source_type"] == "upload"


def test_saved_files_have_the_runs_prefix_unless_a_node_makes_it() -> None:
    graph = {
        "1": image(),
        "2": node("SaveImage", images=["1", 0], filename_prefix="Comfy"),
        "3": node("SaveImage", images=["1", 0], filename_prefix=["9", 0]),
    }
    nodes = stock_graph(graph, INFO, "files/run").graph
    assert (nodes["2"]["inputs"]["filename_prefix"], nodes["3"]["inputs"]["filename_prefix"]) == ("files/run", ["9", 0])


def test_the_graph_that_was_given_is_not_changed() -> None:
    graph = {"1": image(), "9": node("EmProps_Cloud_Storage_Saver", images=["1", 0], filename_prefix="x")}
    before = json.dumps(graph)
    stock_graph(graph, INFO, "y")
    assert json.dumps(graph) == before
