"""Substitution in a step's payload: first the generation's variables, later the outputs of other steps.

`substitute` inserts the variables once, when the generation starts. References to other steps stay open, as

    {"$ref": id}                       the whole value is the step's output
    {"$text": ["…", {"$ref": id}, …]}  a text with outputs in it

and `resolve` inserts the outputs when they exist. Inserted values are never parsed: a variable whose value is
`{{other}}` or `{{$ref:1}}` stays that text. This is why a text with open references is a list and not a string.

A document may have keys of its own that are called so, as a JSON schema has. `literal` writes them with one more `$`,
and `resolve` takes it away.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from shared.contracts.generation import Output
from shared.contracts.references import TOKEN

MARKED = re.compile(r"\$+(ref|text)")
"""Keys of open references, and those that `literal` has marked."""
OpenReference = dict[str, Any]
"""`{"$ref": id}`."""
Segment = str | OpenReference


def substitute(payload: Any, values: Mapping[str, Any]) -> Any:
    """The payload with every `{{name}}` replaced, at any depth; references stay open.

    A string that is one token becomes the variable's value, of its type. Raises KeyError for an unknown name: check the
    payload before.
    """
    if isinstance(payload, str):
        return _substitute_text(payload, values)
    if isinstance(payload, dict):
        if "$ref" in payload:
            return {"$ref": payload["$ref"]}
        return {literal_key(key): substitute(value, values) for key, value in payload.items()}
    if isinstance(payload, list):
        return [substitute(value, values) for value in payload]
    return payload


def needs(payload: Any) -> list[int]:
    """The ids of the steps to which a drawn payload has open references, each once, in order of appearance."""
    ids: dict[int, None] = {}
    stack = [payload]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                ids[value["$ref"]] = None
            else:
                stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))
    return list(ids)


def resolve(payload: Any, outputs: Mapping[int, Sequence[Output]]) -> Any:
    """A drawn payload with every open reference replaced by its step's output."""
    if isinstance(payload, dict):
        if "$ref" in payload:
            return output_value(outputs[payload["$ref"]])
        if "$text" in payload:
            return "".join(
                part if isinstance(part, str) else as_text(output_value(outputs[part["$ref"]]))
                for part in payload["$text"]
            )
        return {_own_key(key): resolve(value, outputs) for key, value in payload.items()}
    if isinstance(payload, list):
        return [resolve(value, outputs) for value in payload]
    return payload


def literal(document: Any) -> Any:
    """A copy of a document that has no references: keys that look like one are marked as its own."""
    if isinstance(document, dict):
        return {literal_key(key): literal(member) for key, member in document.items()}
    return [literal(member) for member in document] if isinstance(document, list) else document


def literal_key(key: str) -> str:
    """A key of a document, marked if it looks like that of an open reference or is marked."""
    return f"${key}" if key[:1] == "$" and MARKED.fullmatch(key) else key


def _own_key(key: str) -> str:
    return key[1:] if key[:2] == "$$" and MARKED.fullmatch(key) else key


def output_value(outputs: Sequence[Output]) -> Any:
    """The value of a reference to a step: the URL of its first file, else its first text, else its first JSON value."""
    for output in outputs:
        if output.kind == "asset":
            return output.url
    for output in outputs:
        if output.kind == "text":
            return output.text
    return outputs[0].json if outputs else None


def as_text(value: Any) -> str:
    """How a value is written within a text: a string as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def text_length(value: Any) -> int:
    """Characters of a value within a text."""
    return len(as_text(value))


def segments(text: str, values: Mapping[str, Any]) -> Iterator[Segment]:
    """The text divided at its references, with its variables replaced; read once from left to right."""
    end = 0
    for token in TOKEN.finditer(text):
        yield text[end : token.start()]
        name = token[1].strip()
        if name.startswith("$ref"):
            yield {"$ref": int(name.partition(":")[2])}
        else:
            yield as_text(values[name])
        end = token.end()
    yield text[end:]


def join_segments(parts: Sequence[Segment]) -> Any:
    """A string if no reference is open, the reference if it is the only part, else a `$text`."""
    merged: list[Segment] = []
    for is_text, run in groupby(parts, key=_is_text):
        if not is_text:
            merged.extend(run)
        elif text := "".join(cast("Iterable[str]", run)):
            merged.append(text)
    if not merged:
        return ""
    return merged[0] if len(merged) == 1 else {"$text": merged}


def _is_text(segment: Segment) -> bool:
    return isinstance(segment, str)


def _substitute_text(text: str, values: Mapping[str, Any]) -> Any:
    if "{{" not in text:
        return text
    token = TOKEN.fullmatch(text)
    if token is not None and not token[1].strip().startswith("$ref"):
        return values[token[1].strip()]
    return join_segments(list(segments(text, values)))
