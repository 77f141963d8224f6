"""References between the steps of a GenerationInput: where they stand, what they name, and how they are renamed.

A step's payload refers to an earlier step's output in three forms, all found at any depth:

- an object with a `$ref`: `{"image": {"$ref": 1}}`;
- a token in a string: `"a frame around {{$ref:1}}"`;
- a node of a rich document, wherever it carries its `$ref`: `{"type": "component", "attrs": {"$ref": 1}}`.

An object with a `$ref` is that reference: what else it has is a note, and is neither read nor rewritten. Who checks,
renames and carries out references reads them in this one way.

Everything here is pure and takes payloads as plain JSON values. Pointers are JSON pointers (RFC 6901).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from shared.contracts.places import Place, below, escaped
from shared.contracts.problem import Detail, shown

__all__ = ["MAX_DEPTH", "MAX_STEPS", "TOKEN", "Reference", "depth", "escaped", "faults", "malformed", "rewrite", "walk"]

MAX_DEPTH = 64
"""Levels of nesting that a payload may have; `faults` refuses more, and `rewrite` relies on that."""

MAX_STEPS = 200
"""Steps that a GenerationInput may have."""

MAX_FAULTS = 200
"""Faults that `faults` tells: each is spelled out, and an answer lists fewer."""

MAX_WAYS = 10
"""Steps for which the shortest way round is looked up: each look-up reads all references."""

MAX_TOLD = 12
"""Steps of a circle that are named."""

TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
"""`{{variable}}` or `{{$ref:id}}`; the group is what stands between the braces."""

_REF_TOKEN = re.compile(r"(\{\{\s*\$ref\s*:\s*)([1-9][0-9]{0,18})(\s*\}\})")
_MAX_STEP_ID = 2**63 - 1


class Reference(NamedTuple):
    pointer: Place
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
            yield Detail(str(where), _fault(0, None, written))


def rewrite(payload: Any, mapping: Mapping[int, int]) -> Any:
    """The payload with every reference's id replaced by `mapping[id]`; the payload given is left as it was.

    Raises KeyError for a reference outside `mapping`: call `faults` first. Malformed references stay as written.
    """
    if isinstance(payload, dict):
        if "$ref" in payload:
            written = payload["$ref"]
            return {**payload, "$ref": mapping[written]} if _step_id(written) is not None else payload
        return {key: rewrite(value, mapping) for key, value in payload.items()}
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
    places = {step_id: index for index, (step_id, _) in enumerate(steps)}
    leads_back = True
    edges: list[tuple[Place, int, int]] = []
    for index, (step_id, payload) in enumerate(steps):
        pointer = f"{prefix}/steps/{index}/nodePayload"
        if depth(payload) > MAX_DEPTH:
            found.append(Detail(pointer, f"step {step_id} nests deeper than {MAX_DEPTH} levels"))
            continue
        for where, written in _written(payload, pointer):
            target = _step_id(written)
            if target is not None and target in places and target != step_id:
                edges.append((where, step_id, target))
                leads_back = leads_back and places[target] < index
            elif len(found) < MAX_FAULTS:
                found.append(Detail(str(where), _fault(step_id, target, written)))
    if not leads_back:  # what refers only to the steps before it closes no circle
        found.extend(islice(_circles(edges), max(0, MAX_FAULTS - len(found))))
    return found


def _fault(step_id: int, target: int | None, written: Any) -> str:
    if target is None:
        said = written.token[:60] if isinstance(written, _Token) else f"$ref {shown(written)}"
        return f"{said} does not name a step: a reference takes a step's id, a positive integer"
    if target == step_id:
        return f"step {step_id} refers to itself"
    return f"step {step_id} refers to step {target}, which does not exist"


def depth(payload: Any) -> int:
    """Levels of nesting: 0 for a scalar, 1 for a flat object or list."""
    deepest = 0
    level = [payload]
    while level := [value for value in level if isinstance(value, dict | list)]:
        deepest += 1
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]
    return deepest


class _Token(NamedTuple):
    token: str
    step_id: int | None


def _written(payload: Any, pointer: str) -> Iterator[tuple[Place, Any]]:
    """Every value that means to be a reference, well-formed or not. No recursion: the depth is not yet checked."""
    stack: list[tuple[Place, Any]] = [(Place(pointer), payload)]
    while stack:
        where, value = stack.pop()
        if isinstance(value, dict) and "$ref" in value:
            yield where.under("$ref"), value["$ref"]
        elif isinstance(value, str):
            for found in TOKEN.finditer(value):
                if found[1].strip().startswith("$ref"):
                    well_formed = _REF_TOKEN.fullmatch(found[0])
                    yield where, _Token(found[0], int(well_formed[2]) if well_formed else None)
        else:
            stack.extend(below(where, value))


def _step_id(written: Any) -> int | None:
    if isinstance(written, _Token):
        written = written.step_id
    if isinstance(written, int) and not isinstance(written, bool) and 0 < written <= _MAX_STEP_ID:
        return written
    return None


def _renamed(token: re.Match[str], mapping: Mapping[int, int]) -> str:
    step_id = int(token[2])
    return f"{token[1]}{mapping[step_id]}{token[3]}" if step_id <= _MAX_STEP_ID else token[0]


def _circles(edges: Sequence[tuple[Place, int, int]]) -> Iterator[Detail]:
    """A detail for each reference that leads back to its own step; the first ones name the shortest way round."""
    needs: dict[int, dict[int, None]] = {}
    for _, step, target in edges:
        needs.setdefault(step, {})[target] = None
    circle_of = _circle_of(needs)
    ways: dict[int, dict[int, int]] = {}
    for where, step, target in edges:
        if circle_of.get(step, step) != circle_of.get(target, target):
            continue
        if target not in ways and len(ways) >= MAX_WAYS:
            yield Detail(str(where), f"step {step} refers to itself around a circle, by way of step {target}")
            continue
        came = ways.get(target) or ways.setdefault(target, _reached(needs, target))
        back = [step]
        while back[-1] != target:
            back.append(came[back[-1]])
        yield Detail(str(where), f"step {step} refers to itself around a circle: {_told([step, *reversed(back)])}")


def _told(circle: Sequence[int]) -> str:
    """The steps of a circle, the middle of a long one left out."""
    if len(circle) > MAX_TOLD:
        half = MAX_TOLD // 2
        told = [*map(str, circle[:half]), "…", *map(str, circle[-half:])]
        return f"{' → '.join(told)} ({len(circle) - 1} steps)"
    return " → ".join(map(str, circle))


def _circle_of(needs: Mapping[int, Mapping[int, None]]) -> dict[int, int]:
    """Each step that is on a circle, with a step that stands for it: those on one circle have the same.

    Circles are the strongly connected components of two steps or more, found by Kosaraju's algorithm (two searches in
    depth, each visiting every step and every reference once). A step that refers to itself is told as such elsewhere.
    """
    needed_by: dict[int, dict[int, None]] = {}
    for step, targets in needs.items():
        for target in targets:
            needed_by.setdefault(target, {})[step] = None
    ended = _in_order_of_ending(needs, needs, set())
    found: dict[int, int] = {}
    seen: set[int] = set()
    for step in reversed(ended):
        if step not in seen:
            members = _in_order_of_ending([step], needed_by, seen)
            if len(members) > 1:
                found.update(dict.fromkeys(members, step))
    return found


def _in_order_of_ending(starts: Iterable[int], edges: Mapping[int, Mapping[int, None]], seen: set[int]) -> list[int]:
    """What a search in depth reaches of what was not `seen` before, each step after those that it leads to."""
    ended: list[int] = []
    for start in starts:
        way = [] if start in seen else [(start, iter(edges.get(start, ())))]
        seen.add(start)
        while way:
            step, following = way[-1]
            target = next((each for each in following if each not in seen), None)
            if target is None:
                ended.append(step)
                way.pop()
            else:
                seen.add(target)
                way.append((target, iter(edges.get(target, ()))))
    return ended


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
