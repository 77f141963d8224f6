"""The text of a prompt editor's value, which is a text, a reference, or a rich document (`rich_text`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.generation.domain.payload.substitution import (
    OpenReference,
    Segment,
    as_text,
    join_segments,
    segments,
    substitute,
)
from shared.contracts.references import TOKEN, walk
from shared.contracts.rich_text import inner_nodes, is_document, reference_of


def substitute_prompt(document: Any, values: Mapping[str, Any]) -> Any:
    """A prompt with its variables replaced; a rich document becomes one text, with a line break between blocks.

    Tokens in a node's `text` are replaced. A node with a `$ref`, its own or in its `attrs`, becomes that step's output.
    References elsewhere in a node follow its text, so that the result has every reference that `references.walk` finds
    in the document: the checks of a job rely on that one, its execution on this one.
    """
    if isinstance(document, str) or not is_document(document):
        return substitute(document, values)
    parts: list[Segment] = []
    for part in _parts(document):
        if isinstance(part, str):
            parts.extend(segments(part, values))
        else:
            parts.append(part)
    return join_segments(parts)


def longest_prompt(document: Any, longest: Mapping[str, int]) -> int:
    """Characters of a prompt with its variables at their `longest`; outputs of other steps are not counted.

    `document` is a prompt as `substitute_prompt` takes it.
    """
    if not isinstance(document, str) and not is_document(document):
        return 0
    texts = [document] if isinstance(document, str) else [part for part in _parts(document) if isinstance(part, str)]
    return sum(_longest_text(text, longest) for text in texts)


def _longest_text(text: str, longest: Mapping[str, int]) -> int:
    size = len(text)
    for token in TOKEN.finditer(text):
        name = token[1].strip()
        size += (0 if name.startswith("$ref") else longest[name]) - len(token[0])
    return size


def _reference(node: Mapping[str, Any]) -> OpenReference | None:
    step_id = reference_of(node)
    return None if step_id is None else {"$ref": step_id}


def _parts(document: Any) -> Iterator[Segment]:
    """A document's texts and references in reading order, with a line break between blocks."""
    follows_block = False
    for node in document if isinstance(document, list) else [document]:
        if isinstance(node, list):
            yield from _parts(node)
        elif isinstance(node, dict):
            is_block = _reference(node) is None and isinstance(inner_nodes(node), list)
            if follows_block and is_block:
                yield "\n"
            yield from _node_parts(node)
            follows_block = is_block
        else:
            yield as_text(node)


def _node_parts(node: Mapping[str, Any]) -> Iterator[Segment]:
    """A node's text, then the references in its other members."""
    reference, inner = _reference(node), inner_nodes(node)
    used: tuple[str, ...] = ()
    if reference is not None:
        used = ("attrs",) if "$ref" not in node else tuple(node)
        yield reference
    elif isinstance(inner, list):
        used = ("content",) if inner is node.get("content") else ("children",)
        yield from _parts(inner)
    elif node.get("type") == "hardBreak":
        yield "\n"
    elif isinstance(node.get("text"), str):
        used = ("text",)
        yield node["text"]
    others = {key: value for key, value in node.items() if key not in used}
    for step_id in dict.fromkeys(step_id for _, step_id in walk(others)):
        if reference != {"$ref": step_id}:
            yield {"$ref": step_id}
