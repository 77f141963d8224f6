"""References between the steps of a GenerationInput: where they stand, what they name, and how they are renamed.

A step's payload refers to an earlier step's output in three forms, all found at any depth:

- an object with a `$ref`: `{"image": {"$ref": 1}}`;
- a token in a string: `"a frame around {{$ref:1}}"`;
- a node of a rich document, wherever it carries its `$ref`: `{"type": "component", "attrs": {"$ref": 1}}`.

Everything here is pure and takes payloads as plain JSON values. Pointers are JSON pointers (RFC 6901).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shared.contracts.problem import Detail

MAX_DEPTH = 64
"""Levels of nesting that a payload may have; `faults` refuses more, and `rewrite` relies on that."""

MAX_STEPS = 200
"""Steps that a GenerationInput may have."""

TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
"""`{{variable}}` or `{{$ref:id}}`; the group is what stands between the braces."""

_REF_TOKEN = re.compile(r"(\{\{\s*\$ref\s*:\s*)([1-9][0-9]{0,18})(\s*\}\})")
_MAX_STEP_ID = 2**63 - 1


class Reference(NamedTuple):
    pointer: str
    """Where the reference stands: the value of a `$ref`, or the string that holds the token."""
    step_id: int


def walk(payload: Any, pointer: str = "") -> Iterator[Reference]:
    """Every well-formed reference of a payload, in document order; one entry per occurrence.

    `pointer` is where the payload itself stands, and begins every pointer that is given.
    """
    for where, written in _written(payload, pointer):
        step_id = _step_id(written)
        if step_id is not None:
            yield Reference(where, step_id)


def malformed(payload: Any, pointer: str = "") -> Iterator[Detail]:
    """Every reference of a payload that names no step id, such as `{"$ref": "first"}` or `{{$ref:}}`."""
    for where, written in _written(payload, pointer):
        if _step_id(written) is None:
            shown = written.token if isinstance(written, _Token) else f"$ref {_shown(written)}"
            yield Detail(where, f"{shown} does not name a step: a reference takes a step's id, a positive integer")


def rewrite(payload: Any, mapping: Mapping[int, int]) -> Any:
    """The payload with every reference's id replaced by `mapping[id]`; the payload given is left as it was.

    Raises KeyError for a reference outside `mapping`: call `faults` first. Malformed references stay as written.
    """
    if isinstance(payload, dict):
        return {
            key: mapping[value] if key == "$ref" and _step_id(value) is not None else rewrite(value, mapping)
            for key, value in payload.items()
        }
    if isinstance(payload, list):
        return [rewrite(value, mapping) for value in payload]
    if isinstance(payload, str):
        return _REF_TOKEN.sub(lambda found: _renamed(found, mapping), payload)
    return payload


def faults(steps: Sequence[tuple[int, Any]], prefix: str = "") -> list[Detail]:
    """What is wrong with the references of a GenerationInput's steps, given as (step id, nodePayload) in order.

    Names each reference that is malformed, that names no step, its own step, or that closes a circle. Pointers are
    `<prefix>/steps/<index>/nodePayload/…`, so `prefix` is where the GenerationInput stands (`/data` in a body).
    """
    if len(steps) > MAX_STEPS:
        return [Detail(f"{prefix}/steps", f"a collection has at most {MAX_STEPS} steps, here are {len(steps)}")]
    found: list[Detail] = []
    known = {step_id for step_id, _ in steps}
    edges: list[tuple[str, int, int]] = []
    for index, (step_id, payload) in enumerate(steps):
        pointer = f"{prefix}/steps/{index}/nodePayload"
        if depth(payload) > MAX_DEPTH:
            found.append(Detail(pointer, f"step {step_id} nests deeper than {MAX_DEPTH} levels"))
            continue
        found.extend(malformed(payload, pointer))
        for where, target in walk(payload, pointer):
            if target == step_id:
                found.append(Detail(where, f"step {step_id} refers to itself"))
            elif target not in known:
                found.append(Detail(where, f"step {step_id} refers to step {target}, which does not exist"))
            else:
                edges.append((where, step_id, target))
    found.extend(_circles(edges))
    return found


def depth(payload: Any) -> int:
    """Levels of nesting: 0 for a scalar, 1 for a flat object or list."""
    deepest = 0
    stack = [(payload, 0)]
    while stack:
        value, level = stack.pop()
        deepest = max(deepest, level)
        if isinstance(value, dict):
            stack.extend((child, level + 1) for child in value.values())
            deepest = max(deepest, level + 1)
        elif isinstance(value, list):
            stack.extend((child, level + 1) for child in value)
            deepest = max(deepest, level + 1)
    return deepest


def escaped(key: str) -> str:
    """A key as a token of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


class _Token(NamedTuple):
    token: str
    step_id: int | None


def _written(payload: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Every value that means to be a reference, well-formed or not. No recursion: the depth is not yet checked."""
    stack: list[tuple[str, Any]] = [(pointer, payload)]
    while stack:
        where, value = stack.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                yield f"{where}/$ref", value["$ref"]
            stack.extend((f"{where}/{escaped(key)}", value[key]) for key in reversed(value) if key != "$ref")
        elif isinstance(value, list):
            stack.extend((f"{where}/{index}", value[index]) for index in range(len(value) - 1, -1, -1))
        elif isinstance(value, str):
            for found in TOKEN.finditer(value):
                if found[1].strip().startswith("$ref"):
                    well_formed = _REF_TOKEN.fullmatch(found[0])
                    yield where, _Token(found[0], int(well_formed[2]) if well_formed else None)


def _step_id(written: Any) -> int | None:
    if isinstance(written, _Token):
        written = written.step_id
    if isinstance(written, int) and not isinstance(written, bool) and 0 < written <= _MAX_STEP_ID:
        return written
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _renamed(token: re.Match[str], mapping: Mapping[int, int]) -> str:
    step_id = int(token[2])
    return f"{token[1]}{mapping[step_id]}{token[3]}" if step_id <= _MAX_STEP_ID else token[0]


def _circles(edges: Sequence[tuple[str, int, int]]) -> Iterator[Detail]:
    """A detail for each reference that leads back to its own step, naming the shortest way round."""
    needs: dict[int, dict[int, None]] = {}
    for _, step, target in edges:
        needs.setdefault(step, {})[target] = None
    ways: dict[int, dict[int, int]] = {}
    for where, step, target in edges:
        came = ways.get(target) or ways.setdefault(target, _reached(needs, target))
        if step in came:
            back = [step]
            while back[-1] != target:
                back.append(came[back[-1]])
            circle = " → ".join(str(each) for each in [step, *reversed(back)])
            yield Detail(where, f"step {step} refers to itself around a circle: {circle}")


def _reached(needs: Mapping[int, Mapping[int, None]], start: int) -> dict[int, int]:
    """Each step that references lead to from `start`, with the one before it on the shortest way."""
    came = {start: start}
    queue = [start]
    for step in queue:
        for following in needs.get(step, ()):
            if following not in came:
                came[following] = step
                queue.append(following)
    return came
