"""comfy_workflow: `workflow.json`, a ComfyUI graph in the API format, and `inputs.json` for inputs of its nodes."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.generation.domain.workflow.template import Produces, Template
from services.generation.domain.workflow.types.inputs import read_nodes
from services.generation.domain.workflow.types.models import models_of, required_models
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, invalid

SERVICE = "comfy"
MAX_NODES = 1_000

OUTPUTS: Mapping[str, Produces] = {
    "SaveImage": "image",
    "PreviewImage": "image",
    "EmProps_Cloud_Storage_Saver": "image",
    "EmProps_S3_Saver": "image",
    "SaveAnimatedWEBP": "image",
    "SaveAnimatedPNG": "image",
    "EmProps_Cloud_Animated_WEBP_Saver": "image",
    "VHS_VideoCombine": "video",
    "SaveVideo": "video",
    "SaveWEBM": "video",
    "SaveAudio": "audio",
    "SaveAudioMP3": "audio",
    "SaveAudioOpus": "audio",
    "PreviewAny": "text",
    "ShowText|pysssss": "text",
    "EmProps_Text_Cloud_Storage_Saver": "text",
    "EmProps_Text_S3_Saver": "text",
}
"""What the output nodes of known classes make. A graph may end in nodes of other classes."""
PREFERRED: tuple[Produces, ...] = ("image", "video", "audio", "text")
"""Of several kinds, the first one is what a reference to the step takes."""


def read(definition: Mapping[str, Any], fields: frozenset[str]) -> Template:
    """Raises VALIDATION_FAILED."""
    graph = definition["workflow"]
    faults = list(_graph_faults(graph))
    if faults:
        raise invalid("The workflow can't be read", *faults[:20])
    inputs = read_nodes(definition.get("inputs"), graph, fields)
    if inputs.faults:
        raise invalid("The workflow can't be read", *inputs.faults[:20])
    made = {OUTPUTS[node["class_type"]] for node in graph.values() if node["class_type"] in OUTPUTS}
    models = {*models_of(graph), *required_models(definition.get("required_models"))}
    return Template(
        document={"graph": graph},
        placements=inputs.placements,
        service=SERVICE,
        produces=next((kind for kind in PREFERRED if kind in made), "any"),
        models=sorted(models),
        notes=[*inputs.notes, *_dangling(graph)],
    )


def _graph_faults(graph: Any) -> Iterator[Detail]:
    if not isinstance(graph, Mapping):
        yield Detail("/workflow", "is a graph: an object of nodes")
    elif isinstance(graph.get("nodes"), list):
        message = "is in the editor's format; export it in the API format (in ComfyUI: Workflow, Export (API))"
        yield Detail("/workflow", message)
    elif len(graph) > MAX_NODES:
        yield Detail("/workflow", f"has {len(graph)} nodes, more than {MAX_NODES}")
    else:
        for name, node in graph.items():
            pointer = f"/workflow/{escape_token(name)}"
            if not isinstance(node, Mapping) or not isinstance(node.get("class_type"), str):
                yield Detail(pointer, "is a node: {class_type, inputs}")
            elif not isinstance(node.get("inputs", {}), Mapping):
                yield Detail(f"{pointer}/inputs", "is an object")


def _dangling(graph: Mapping[str, Any]) -> Iterator[str]:
    """A note for each input that is linked to a node which the graph does not have."""
    for name, node in graph.items():
        for input_name, value in node.get("inputs", {}).items():
            if is_link(value) and value[0] not in graph:
                yield f"input {input_name!r} of node {name} is linked to node {value[0]}, which the graph does not have"


def is_link(value: Any) -> bool:
    """Whether an input's value is `[node id, output index]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
