"""References between the steps of a GenerationInput: finding, validating and rewriting them.

A step's payload refers to an earlier step's output in three forms, all found at any depth:

- an object with a `$ref`: `{"image": {"$ref": 1}}`;
- a token in a string: `"a frame around {{$ref:1}}"`;
- a node of a rich document, with the `$ref` at any place in it: `{"type": "component", "attrs": {"$ref": 1}}`.

An object with a `$ref` is a reference; its other members are ignored, and not rewritten.

All functions are pure and take payloads as plain JSON values. Pointers are JSON pointers (RFC 6901).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from shared.contracts.pointers import JsonPointer, child_values
from shared.contracts.problem import Detail, quote

__all__ = ["MAX_DEPTH", "MAX_STEPS", "TOKEN", "Reference", "depth", "faults", "malformed", "rewrite", "walk"]

MAX_DEPTH = 64
"""Levels of nesting that a payload may have; `faults` refuses more, and `rewrite` relies on that."""

MAX_STEPS = 200
"""Steps that a GenerationInput may have."""

MAX_FAULTS = 200
"""Faults that `faults` returns; an answer lists fewer."""

MAX_SEARCHES = 10
"""Steps for which the shortest cycle is searched: each search reads all references."""

MAX_NAMED = 12
"""Steps of a cycle that a message names."""

TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
"""`{{variable}}` or `{{$ref:id}}`; the group is the text between the braces."""

_REF_TOKEN = re.compile(r"(\{\{\s*\$ref\s*:\s*)([1-9][0-9]{0,18})(\s*\}\})")
_MAX_STEP_ID = 2**63 - 1


class Reference(NamedTuple):
    pointer: JsonPointer
    """That of the value of the `$ref`, or of the string that contains the token."""
    step_id: int


def walk(payload: Any, pointer: str = "") -> Iterator[Reference]:
    """Every well-formed reference of a payload, in document order, once per occurrence.

    `pointer`: the payload's own pointer, with which all others begin.
    """
    for where, candidate in _candidates(payload, pointer):
        step_id = _step_id(candidate)
        if step_id is not None:
            yield Reference(where, step_id)


def malformed(payload: Any, pointer: str = "") -> Iterator[Detail]:
    """A fault for each reference of a payload without a valid step id, such as `{"$ref": "first"}` or `{{$ref:}}`."""
    for where, candidate in _candidates(payload, pointer):
        if _step_id(candidate) is None:
            yield Detail(str(where), _fault(0, None, candidate))


def rewrite(payload: Any, mapping: Mapping[int, int]) -> Any:
    """A copy of the payload with every reference's id replaced by `mapping[id]`.

    Raises KeyError for an id that `mapping` lacks: call `faults` first. Malformed references are not changed.
    """
    if isinstance(payload, dict):
        if "$ref" in payload:
            candidate = payload["$ref"]
            return {**payload, "$ref": mapping[candidate]} if _step_id(candidate) is not None else payload
        return {key: rewrite(value, mapping) for key, value in payload.items()}
    if isinstance(payload, list):
        return [rewrite(value, mapping) for value in payload]
    if isinstance(payload, str):
        return _REF_TOKEN.sub(lambda token: _rewrite_token(token, mapping), payload)
    return payload


def faults(steps: Sequence[tuple[int, Any]], prefix: str = "") -> list[Detail]:
    """Faults in the references of a GenerationInput's steps, which are (step id, nodePayload) in order.

    At most MAX_FAULTS: references that are malformed, name no existing step or their own, or are part of a cycle.
    Pointers are `<prefix>/steps/<index>/nodePayload/…`: `prefix` is the GenerationInput's own (`/data` in a body).
    """
    if len(steps) > MAX_STEPS:
        message = f"a collection may have at most {MAX_STEPS} steps; there are {len(steps)}"
        return [Detail(f"{prefix}/steps", message)]
    details: list[Detail] = []
    places = {step_id: index for index, (step_id, _) in enumerate(steps)}
    is_ordered = True
    edges: list[tuple[JsonPointer, int, int]] = []
    for index, (step_id, payload) in enumerate(steps):
        pointer = f"{prefix}/steps/{index}/nodePayload"
        if depth(payload) > MAX_DEPTH:
            details.append(Detail(pointer, f"step {step_id} is nested deeper than {MAX_DEPTH} levels"))
            continue
        for where, candidate in _candidates(payload, pointer):
            target = _step_id(candidate)
            if target is not None and target in places and target != step_id:
                edges.append((where, step_id, target))
                is_ordered = is_ordered and places[target] < index
            elif len(details) < MAX_FAULTS:
                details.append(Detail(str(where), _fault(step_id, target, candidate)))
    if not is_ordered:  # references to earlier steps only can't form a cycle
        details.extend(islice(_cycles(edges), max(0, MAX_FAULTS - len(details))))
    return details


def _fault(step_id: int, target: int | None, candidate: Any) -> str:
    if target is None:
        reference = candidate.token[:60] if isinstance(candidate, _Token) else f"$ref {quote(candidate)}"
        return f"{reference} is not a valid reference: it must be a step's id, a positive integer"
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


def _candidates(payload: Any, pointer: str) -> Iterator[tuple[JsonPointer, Any]]:
    """Every value in the form of a reference, with its pointer, whether its id is valid or not.

    Not recursive, because the depth has not been checked yet.
    """
    stack: list[tuple[JsonPointer, Any]] = [(JsonPointer(pointer), payload)]
    while stack:
        where, value = stack.pop()
        if isinstance(value, dict) and "$ref" in value:
            yield where.child("$ref"), value["$ref"]
        elif isinstance(value, str):
            for token in TOKEN.finditer(value):
                if token[1].strip().startswith("$ref"):
                    well_formed = _REF_TOKEN.fullmatch(token[0])
                    yield where, _Token(token[0], int(well_formed[2]) if well_formed else None)
        else:
            stack.extend(child_values(where, value))


def _step_id(candidate: Any) -> int | None:
    if isinstance(candidate, _Token):
        candidate = candidate.step_id
    if isinstance(candidate, int) and not isinstance(candidate, bool) and 0 < candidate <= _MAX_STEP_ID:
        return candidate
    return None


def _rewrite_token(token: re.Match[str], mapping: Mapping[int, int]) -> str:
    step_id = int(token[2])
    return f"{token[1]}{mapping[step_id]}{token[3]}" if step_id <= _MAX_STEP_ID else token[0]


def _cycles(edges: Sequence[tuple[JsonPointer, int, int]]) -> Iterator[Detail]:
    """A fault for each reference that is part of a cycle; the first ones name the steps of the shortest one."""
    needs: dict[int, dict[int, None]] = {}
    for _, step, target in edges:
        needs.setdefault(step, {})[target] = None
    cycle_of = _cycle_of(needs)
    searches: dict[int, dict[int, int]] = {}
    for where, step, target in edges:
        if cycle_of.get(step, step) != cycle_of.get(target, target):
            continue
        if target not in searches and len(searches) >= MAX_SEARCHES:
            yield Detail(str(where), f"step {step} depends on itself through step {target}")
            continue
        previous = searches.get(target) or searches.setdefault(target, _predecessors(needs, target))
        back = [step]
        while back[-1] != target:
            back.append(previous[back[-1]])
        yield Detail(str(where), f"step {step} depends on itself: {_arrows([step, *reversed(back)])}")


def _arrows(cycle: Sequence[int]) -> str:
    """The steps of a cycle; a long one without its middle."""
    if len(cycle) > MAX_NAMED:
        half = MAX_NAMED // 2
        names = [*map(str, cycle[:half]), "…", *map(str, cycle[-half:])]
        return f"{' → '.join(names)} ({len(cycle) - 1} steps)"
    return " → ".join(map(str, cycle))


def _cycle_of(needs: Mapping[int, Mapping[int, None]]) -> dict[int, int]:
    """Each step that is part of a cycle, with one step that identifies its component.

    Components are the strongly connected ones of two steps or more, found by Kosaraju's algorithm (two depth-first
    searches, each visiting every step and every reference once). A step that refers to itself is not among them.
    """
    needed_by: dict[int, dict[int, None]] = {}
    for step, targets in needs.items():
        for target in targets:
            needed_by.setdefault(target, {})[step] = None
    order = _post_order(needs, needs, set())
    components: dict[int, int] = {}
    visits: set[int] = set()
    for step in reversed(order):
        if step not in visits:
            members = _post_order([step], needed_by, visits)
            if len(members) > 1:
                components.update(dict.fromkeys(members, step))
    return components


def _post_order(starts: Iterable[int], edges: Mapping[int, Mapping[int, None]], visits: set[int]) -> list[int]:
    """The steps that a depth-first search visits, without those in `visits`, in post-order; adds them to `visits`."""
    order: list[int] = []
    for start in starts:
        path = [] if start in visits else [(start, iter(edges.get(start, ())))]
        visits.add(start)
        while path:
            step, targets = path[-1]
            target = next((target for target in targets if target not in visits), None)
            if target is None:
                order.append(step)
                path.pop()
            else:
                visits.add(target)
                path.append((target, iter(edges.get(target, ()))))
    return order


def _predecessors(needs: Mapping[int, Mapping[int, None]], start: int) -> dict[int, int]:
    """Each step that `start` depends on, with the previous one on the shortest path (breadth-first search)."""
    previous = {start: start}
    queue = [start]
    for step in queue:
        for target in needs.get(step, ()):
            if target not in previous:
                previous[target] = step
                queue.append(target)
    return previous
