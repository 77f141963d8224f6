"""comfy_workflow: `workflow.json`, a ComfyUI graph in the API format, and `inputs.json` for inputs of its nodes."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.generation.domain.workflow.paths import Path
from services.generation.domain.workflow.template import Produces, Template
from services.generation.domain.workflow.types.inputs import read_nodes
from services.generation.domain.workflow.types.models import downloads_of, models_of, required_models
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
    required = definition.get("required_models")
    kinds = {OUTPUTS[node["class_type"]] for node in graph.values() if node["class_type"] in OUTPUTS}
    return Template(
        document={"graph": graph},
        placements=inputs.placements,
        service=SERVICE,
        produces=next((kind for kind in PREFERRED if kind in kinds), "any"),
        models=sorted({*models_of(graph), *required_models(required)}),
        required_models=sorted(set(required_models(required, only_static=True))),
        unlinked=sorted(_unlinked(graph)),
        notes=[*inputs.notes, *_dangling(graph)],
    )


def with_models(payload: dict[str, Any], template: Template) -> dict[str, Any]:
    """The payload with `models`, which a server must have: those of the graph with its values, and the static ones.

    Those that the graph downloads are left out.
    """
    graph = payload["graph"]
    models = sorted({*models_of(graph), *template.required_models} - {*downloads_of(graph)})
    return {**payload, "models": [{"kind": model.kind, "name": model.name} for model in models]}


def _graph_faults(graph: Any) -> Iterator[Detail]:
    if not isinstance(graph, Mapping):
        yield Detail("/workflow", "must be a graph: an object of nodes")
    elif isinstance(graph.get("nodes"), list):
        message = "is in the editor's format; export it in the API format (in ComfyUI: Workflow, Export (API))"
        yield Detail("/workflow", message)
    elif len(graph) > MAX_NODES:
        yield Detail("/workflow", f"has {len(graph)} nodes, more than {MAX_NODES}")
    else:
        for name, node in graph.items():
            pointer = f"/workflow/{escape_token(name)}"
            if not isinstance(node, Mapping) or not isinstance(node.get("class_type"), str):
                yield Detail(pointer, "must be a node: {class_type, inputs}")
            elif not isinstance(node.get("inputs", {}), Mapping):
                yield Detail(f"{pointer}/inputs", "is required, and must be an object")


def _dangling(graph: Mapping[str, Any]) -> Iterator[str]:
    """A note for each input that is linked to a node which the graph does not have."""
    for name, input_name, other in _missing_links(graph):
        yield f"input {input_name!r} of node {name} is linked to node {other}, which the graph does not have"


def _unlinked(graph: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The inputs on which an output depends, and which are linked to a node that the graph does not have."""
    needed = _needed(graph)
    for name, input_name, other in _missing_links(graph):
        if name in needed:
            message = f"input {input_name!r} of node {name} is linked to node {other}, which the graph does not have"
            yield ("graph", name, "inputs", input_name), message


def _missing_links(graph: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, node in graph.items():
        for input_name, value in node.get("inputs", {}).items():
            if is_link(value) and value[0] not in graph:
                yield name, input_name, value[0]


def _needed(graph: Mapping[str, Any]) -> set[str]:
    """The nodes that known outputs depend on; all nodes if no output is of a known class."""
    waiting = [name for name, node in graph.items() if node["class_type"] in OUTPUTS] or list(graph)
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in needed or name not in graph:
            continue
        needed.add(name)
        waiting.extend(value[0] for value in graph[name].get("inputs", {}).values() if is_link(value))
    return needed


def is_link(value: Any) -> bool:
    """Whether an input's value is `[node id, output index]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
