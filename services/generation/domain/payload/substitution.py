"""From a step's payload as written to one that a worker can run: variables first, references when they are known.

`drawn` puts a generation's variables in, once, when it starts. What it leaves open is only what refers to other steps:

    {"$ref": id}                       the whole value is the step's output
    {"$text": ["…", {"$ref": id}, …]}  a text with outputs in it

`resolved` puts those in when the outputs exist. Neither ever looks into what it inserts: a variable whose value is
`{{other}}` or `{{$ref:1}}` stays exactly that text, which is why a half-done text is a list and not a string.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from shared.contracts.generation import Output
from shared.contracts.references import TOKEN, walk

Open = dict[str, Any]
"""A reference still open: `{"$ref": id}`."""
Segment = str | Open


def drawn(payload: Any, values: Mapping[str, Any]) -> Any:
    """The payload with every `{{name}}` replaced, at any depth; references stay open.

    A string that is nothing but one token takes the value's own type. The payload must have been checked: an unknown
    name raises KeyError.
    """
    if isinstance(payload, str):
        return _drawn_text(payload, values)
    if isinstance(payload, dict):
        if "$ref" in payload:
            return {"$ref": payload["$ref"]}
        return {key: drawn(value, values) for key, value in payload.items()}
    if isinstance(payload, list):
        return [drawn(value, values) for value in payload]
    return payload


def drawn_prompt(document: Any, values: Mapping[str, Any]) -> Any:
    """The text that a prompt editor's value says: a plain string, or a rich document whose nodes are put in a row.

    A node's `text` counts as written by the artist, so its tokens are replaced. A node with a `$ref`, its own or
    among its `attrs`, is that step's output. References that stand elsewhere in a node come behind what it says, so
    that every one that `references.walk` finds in the document is in what comes out: who checks references and who
    waits for them go by the same. Blocks end with a line break.
    """
    if isinstance(document, str) or not is_document(document):
        return drawn(document, values)
    segments: list[Segment] = []
    for part in _parts(document):
        if isinstance(part, str):
            segments.extend(_segments(part, values))
        else:
            segments.append(part)
    return _text(segments)


def longest_prompt(document: Any, longest: Mapping[str, int]) -> int:
    """Characters of a prompt whose variables take values of their `longest` length; what references bring not counted.

    `document` is one that `drawn_prompt` takes: a text, a rich document, or a reference.
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


def text_length(value: Any) -> int:
    """Characters that a variable's value has within a text."""
    return len(_as_text(value))


def is_document(value: Any) -> bool:
    """Whether a value is a rich document: a node `{type, attrs, content|children, text}`, or a list of nodes."""
    if isinstance(value, list):
        return bool(value) and all(is_document(node) or _is_leaf(node) for node in value)
    return isinstance(value, dict) and (
        isinstance(value.get("content"), list) or isinstance(value.get("children"), list)
    )


def needs(payload: Any) -> list[int]:
    """The ids of the steps whose outputs a drawn payload waits for, each once, in order of appearance."""
    found: dict[int, None] = {}
    stack = [payload]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                found[value["$ref"]] = None
            else:
                stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))
    return list(found)


def resolved(payload: Any, outputs: Mapping[int, Sequence[Output]]) -> Any:
    """A drawn payload with every open reference replaced by its step's output."""
    if isinstance(payload, dict):
        if "$ref" in payload:
            return output_value(outputs[payload["$ref"]])
        if "$text" in payload:
            return "".join(
                part if isinstance(part, str) else _as_text(output_value(outputs[part["$ref"]]))
                for part in payload["$text"]
            )
        return {key: resolved(value, outputs) for key, value in payload.items()}
    if isinstance(payload, list):
        return [resolved(value, outputs) for value in payload]
    return payload


def output_value(outputs: Sequence[Output]) -> Any:
    """What a reference to a step takes: its first file's URL; without files its first text; else its JSON value."""
    for output in outputs:
        if output.kind == "asset":
            return output.url
    for output in outputs:
        if output.kind == "text":
            return output.text
    return outputs[0].json if outputs else None


def _drawn_text(text: str, values: Mapping[str, Any]) -> Any:
    if "{{" not in text:
        return text
    whole = TOKEN.fullmatch(text)
    if whole is not None and not whole[1].strip().startswith("$ref"):
        return values[whole[1].strip()]
    return _text(list(_segments(text, values)))


def _segments(text: str, values: Mapping[str, Any]) -> Iterator[Segment]:
    """The text cut at its references, its variables replaced; read once from left to right."""
    end = 0
    for token in TOKEN.finditer(text):
        yield text[end : token.start()]
        name = token[1].strip()
        if name.startswith("$ref"):
            yield {"$ref": int(name.partition(":")[2])}
        else:
            yield _as_text(values[name])
        end = token.end()
    yield text[end:]


def _text(segments: Sequence[Segment]) -> Any:
    """A plain string where nothing is open, the reference itself where there is nothing else, else a `$text`."""
    joined: list[Segment] = []
    for is_text, run in groupby(segments, key=_is_text):
        if not is_text:
            joined.extend(run)
        elif text := "".join(cast("Iterable[str]", run)):
            joined.append(text)
    if not joined:
        return ""
    if len(joined) == 1:
        return joined[0]
    return {"$text": joined}


def _is_text(segment: Segment) -> bool:
    return isinstance(segment, str)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_leaf(node: Any) -> bool:
    return isinstance(node, dict) and (isinstance(node.get("text"), str) or _reference(node) is not None)


def _reference(node: Mapping[str, Any]) -> Open | None:
    attributes = node.get("attrs")
    for holder in (node, attributes):
        if isinstance(holder, dict) and "$ref" in holder:
            return {"$ref": holder["$ref"]}
    return None


def _parts(document: Any) -> Iterator[Segment]:
    """A document's texts and references in reading order, a line break between one block and the next."""
    block_before = False
    for node in document if isinstance(document, list) else [document]:
        if isinstance(node, list):
            yield from _parts(node)
        elif isinstance(node, dict):
            is_block = _reference(node) is None and isinstance(_inner(node), list)
            if block_before and is_block:
                yield "\n"
            yield from _node_parts(node)
            block_before = is_block
        else:
            yield _as_text(node)


def _inner(node: Mapping[str, Any]) -> Any:
    return node.get("content", node.get("children"))


def _node_parts(node: Mapping[str, Any]) -> Iterator[Segment]:
    """What a node says, then the references in its other members."""
    reference, inner = _reference(node), _inner(node)
    said: tuple[str, ...] = ()
    if reference is not None:
        said = ("attrs",) if "$ref" not in node else tuple(node)
        yield reference
    elif isinstance(inner, list):
        said = ("content",) if "content" in node else ("children",)
        yield from _parts(inner)
    elif node.get("type") == "hardBreak":
        yield "\n"
    elif isinstance(node.get("text"), str):
        said = ("text",)
        yield node["text"]
    others = {key: value for key, value in node.items() if key not in said}
    for step_id in dict.fromkeys(step_id for _, step_id in walk(others)):
        if reference != {"$ref": step_id}:
            yield {"$ref": step_id}
