"""The platform's graphs on a stock ComfyUI: its custom nodes rewritten to built-in ones.

`RULES` is the table, by class of node. A node whose class the server has is left as it is, but for those of `ALWAYS`.
To support another custom node, add a rule: a function that returns what replaces it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from workers.comfy.custom_nodes import ALWAYS, RULES, Replacement, is_link

Graph = dict[str, Any]
"""A ComfyUI graph in the API format: `{node id: {class_type, inputs, _meta}}`."""


class Loader(NamedTuple):
    """How a class of node names the file that it loads from the server's folder of inputs."""

    name: str
    """The input with the file's name."""
    url: str
    """The input with a URL, which may be the same."""
    source: str = ""
    """The input that says where the file comes from; empty if there is none."""


LOADERS: Mapping[str, Loader] = {
    "LoadImage": Loader("image", "image"),
    "LoadImageMask": Loader("image", "image"),
    "LoadVideo": Loader("file", "file"),
    "LoadAudio": Loader("audio", "audio"),
    "EmProps_Image_Loader": Loader("image", "url", "source_type"),
    "VHS_LoadVideo": Loader("video", "url", "source_type"),
}
DISPLAYS = frozenset({"Display Any (rgthree)", "PreviewAny", "ShowText|pysssss", "easy showAnything"})
"""Nodes that show a text in ComfyUI's editor. It is an output only if the graph makes nothing else."""


class Upload(NamedTuple):
    """A file that the server must have before the graph runs: its name there goes to an input of a node."""

    node: str
    input: str
    url: str


class Rewritten(NamedTuple):
    graph: Graph
    uploads: list[Upload]
    displays: frozenset[str]
    """Nodes whose texts count only if there is nothing else."""
    missing: frozenset[str]
    """Classes that the server does not have, and that no rule replaces."""

    def with_files(self, names: Mapping[Upload, str]) -> Graph:
        """The graph that loads the uploaded files, by their names on the server."""
        graph = {node_id: {**node, "inputs": dict(node["inputs"])} for node_id, node in self.graph.items()}
        for upload, name in names.items():
            graph[upload.node]["inputs"][upload.input] = name
        return graph


def stock_graph(graph: Mapping[str, Any], classes: Iterable[str], file_prefix: str) -> Rewritten:
    """The graph for a server that has `classes`; names of saved files begin with `file_prefix`.

    Files that loaders name by a URL become uploads; the input keeps the URL until the file's name is known.
    """
    available = frozenset(classes)
    rewritten: Graph = {}
    values: dict[str, tuple[Any, ...]] = {}
    for node_id, node in graph.items():
        rule = RULES.get(node["class_type"])
        if rule is None or (node["class_type"] in available and node["class_type"] not in ALWAYS):
            rewritten[node_id] = {**node, "inputs": dict(node.get("inputs", {}))}
            continue
        replacement = rule(node.get("inputs", {}))
        if replacement.values:
            values[node_id] = replacement.values
        else:
            rewritten |= _replaced(node_id, node, replacement)
    for node in rewritten.values():
        inputs = node["inputs"]
        for name, value in inputs.items():
            inputs[name] = _value(value, values)
        if "filename_prefix" in inputs and not is_link(inputs["filename_prefix"]):
            inputs["filename_prefix"] = file_prefix
    displays = {node_id for node_id, node in graph.items() if node["class_type"] in DISPLAYS}
    missing = frozenset(node["class_type"] for node in rewritten.values()) - available
    return Rewritten(rewritten, _uploads(rewritten), frozenset(displays), missing)


def _replaced(node_id: str, node: Mapping[str, Any], replacement: Replacement) -> Graph:
    """The nodes that replace one. Links that begin with @ are to those before it."""
    nodes: Graph = {}
    for suffix, (class_type, inputs) in replacement.before.items():
        nodes[f"{node_id}{suffix}"] = {"class_type": class_type, "inputs": dict(inputs)}
    nodes[node_id] = {**node, "class_type": replacement.class_type, "inputs": dict(replacement.inputs)}
    for new_node in nodes.values():
        for name, value in new_node["inputs"].items():
            if is_link(value) and value[0] in replacement.before:
                new_node["inputs"][name] = [f"{node_id}{value[0]}", value[1]]
    return nodes


def _uploads(graph: Graph) -> list[Upload]:
    uploads = []
    for node_id, node in graph.items():
        loader, inputs = LOADERS.get(node["class_type"]), node["inputs"]
        if loader is not None and is_url(inputs.get(loader.url)):
            uploads.append(Upload(node_id, loader.name, inputs[loader.url]))
            if loader.source:
                inputs[loader.source] = "upload"
    return uploads


def is_url(value: Any) -> bool:
    """Whether an input's value is the address of a file."""
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"}


def _value(value: Any, values: Mapping[str, tuple[Any, ...]]) -> Any:
    if is_link(value) and value[0] in values and value[1] < len(values[value[0]]):
        return values[value[0]][value[1]]
    return value
