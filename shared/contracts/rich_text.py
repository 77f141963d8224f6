"""Rich documents, which the platform's prompt editor writes: a node or a list of nodes.

A node is `{type, attrs, content|children, text}`.
"""

from collections.abc import Mapping
from typing import Any


def is_document(value: Any) -> bool:
    """Whether a value is a rich document."""
    if isinstance(value, list):
        return bool(value) and all(is_document(node) or _is_leaf(node) for node in value)
    return isinstance(value, dict) and isinstance(inner_nodes(value), list)


def inner_nodes(node: Mapping[str, Any]) -> Any:
    """A node's `content`, or else its `children`: a list, unless the node is a leaf."""
    content = node.get("content")
    return content if isinstance(content, list) else node.get("children", content)


def reference_of(node: Mapping[str, Any]) -> Any:
    """The `$ref` of a node, its own or in its `attrs`; None if it has none."""
    for holder in (node, node.get("attrs")):
        if isinstance(holder, dict) and "$ref" in holder:
            return holder["$ref"]
    return None


def document_like(document: Any, text: str) -> Any:
    """A document with a text, a paragraph for each line, in the form of another document: a node or a list of nodes."""
    nodes = document if isinstance(document, list) else inner_nodes(document)
    key = "children" if _has_children(document, nodes) else "content"
    if nodes and not any(isinstance(node, dict) and isinstance(inner_nodes(node), list) for node in nodes):
        new_nodes: list[Any] = [_text_node(text)]
    else:
        new_nodes = [{"type": "paragraph", key: [_text_node(line)]} for line in text.split("\n")]
    if isinstance(document, list):
        return new_nodes
    others = {name: value for name, value in document.items() if name not in {"content", "children"}}
    return {**others, key: new_nodes}


def _has_children(document: Any, nodes: list[Any]) -> bool:
    candidates = [*nodes, document] if isinstance(document, dict) else nodes
    return any(isinstance(node, dict) and isinstance(node.get("children"), list) for node in candidates)


def _text_node(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _is_leaf(node: Any) -> bool:
    return isinstance(node, dict) and (isinstance(node.get("text"), str) or reference_of(node) is not None)
