"""A workflow's JSON template with a step's values in place of its `{{field}}` tokens (workflow type dynamic_json)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from shared.contracts.references import TOKEN


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with each `{{field}}` replaced by the field's value, at any depth; keys are not changed.

    A string that is nothing but one token takes the value's own type; one whose field has no value becomes null. Within
    a longer text, values are written as text, and a field without a value as nothing. References that are still open
    stay open (`payload/substitution.py`). Values are not searched for tokens.
    """
    if isinstance(template, str):
        return _fill_text(template, values)
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def fields_in(template: Any) -> Iterator[str]:
    """The names of all fields that a template's texts refer to, in order, repeated ones too."""
    if isinstance(template, str):
        for token in TOKEN.finditer(template):
            yield token[1].strip()
    elif isinstance(template, dict | list):
        for value in template.values() if isinstance(template, dict) else template:
            yield from fields_in(value)


def _fill_text(text: str, values: Mapping[str, Any]) -> Any:
    whole = TOKEN.fullmatch(text)
    if whole is not None:
        return values.get(whole[1].strip())
    segments: list[Any] = []
    end = 0
    for token in TOKEN.finditer(text):
        segments.append(text[end : token.start()])
        segments.extend(_segments(values.get(token[1].strip())))
        end = token.end()
    segments.append(text[end:])
    joined = _join(segments)
    if all(isinstance(segment, str) for segment in joined):
        return "".join(joined)
    return {"$text": joined}


def _segments(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and "$ref" in value:
        return [value]
    if isinstance(value, dict) and "$text" in value:
        return list(value["$text"])
    return [json.dumps(value, ensure_ascii=False)]


def _join(segments: list[Any]) -> list[Any]:
    """Adjacent texts made one, and empty ones left out."""
    joined: list[Any] = []
    for segment in segments:
        if isinstance(segment, str) and joined and isinstance(joined[-1], str):
            joined[-1] += segment
        elif segment != "":
            joined.append(segment)
    return joined
