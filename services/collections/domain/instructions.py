"""A collection's `data`: the GenerationInput, version "v2", that produces its artwork.

It is kept as it was given, fields unknown to us included; what is checked here is what the platform relies on. Whether
a step's workflow exists, and takes such a payload, is the generation service's to say, when a job is asked for.
"""

from collections.abc import Iterator
from typing import Any, TypeGuard

from services.collections.domain import variables
from services.collections.domain.text import json_faults, strings
from shared.contracts import references
from shared.contracts.problem import Detail, invalid

VERSION = "v2"
MAX_STEPS = 100
MAX_GENERATIONS = 10_000
MAX_NAME = 200
MAX_STEP_ID = 2**63 - 1
MAX_DETAILS = 100
"""An answer names this many faults at most."""


def default() -> dict[str, Any]:
    """What a collection starts from when nothing is given: one built-in step, one variable to play with."""
    return {
        "version": VERSION,
        "steps": [
            {
                "id": 1,
                "nodeName": "sketch",
                "alias": "Main",
                "nodePayload": {"prompt": "an abstract landscape at {{time}}", "seed": -1},
            }
        ],
        "generations": {"generations": 1, "hashes": [], "use_custom_hashes": False},
        "variables": [
            {
                "name": "time",
                "type": "pick",
                "value_type": "strings",
                "lock_value": False,
                "test_value": "dawn",
                "value": {
                    "display_names": ["Dawn", "Noon", "Dusk", "Midnight"],
                    "values": ["dawn", "noon", "dusk", "midnight"],
                    "weights": [1, 1, 1, 1],
                },
            }
        ],
    }


def check(data: Any, pointer: str) -> None:
    """Refuse a GenerationInput that could never be generated, naming each fault with its pointer."""
    found = faults(data, pointer)
    if found:
        raise invalid(f"The collection's data has {_count(len(found))}: {found[0].message}", *found[:MAX_DETAILS])


def faults(data: Any, pointer: str) -> list[Detail]:
    """Everything that is wrong with a GenerationInput that stands at `pointer` (`/data` in a body)."""
    if not isinstance(data, dict):
        return [Detail(pointer, "data must be an object, a GenerationInput")]
    unstorable = json_faults(data, pointer)
    if unstorable:
        return unstorable
    if data.get("version") != VERSION:
        return [Detail(f"{pointer}/version", f"the version is {VERSION!r}; no other is supported")]
    wrong_steps = list(_steps(data.get("steps"), f"{pointer}/steps"))
    wrong_variables = variables.faults(data.get("variables", []), f"{pointer}/variables")
    found = [*wrong_steps, *wrong_variables, *_generations(data.get("generations", {}), f"{pointer}/generations")]
    if not wrong_steps:
        found.extend(references.faults([(step["id"], step["nodePayload"]) for step in data["steps"]], pointer))
        if not wrong_variables:
            found.extend(_unknown_variables(data, pointer))
    return found


def _steps(steps: Any, where: str) -> Iterator[Detail]:
    if not isinstance(steps, list):
        yield Detail(where, "steps must be a list")
        return
    if len(steps) > MAX_STEPS:
        yield Detail(where, f"a collection has at most {MAX_STEPS} steps, and this has {len(steps)}")
        return
    seen: dict[int, int] = {}
    for index, step in enumerate(steps):
        if not isinstance(step, dict):
            yield Detail(f"{where}/{index}", "a step must be an object")
            continue
        yield from _step(step, f"{where}/{index}")
        step_id = step.get("id")
        if _is_step_id(step_id):
            if step_id in seen:
                yield Detail(f"{where}/{index}/id", f"step {step_id} is there twice, first at {where}/{seen[step_id]}")
            seen.setdefault(step_id, index)


def _step(step: dict[str, Any], where: str) -> Iterator[Detail]:
    if not _is_step_id(step.get("id")):
        yield Detail(f"{where}/id", "a step's id is a positive integer")
    name = step.get("nodeName")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        yield Detail(f"{where}/nodeName", f"a step names its workflow, in 1 to {MAX_NAME} characters")
    if not isinstance(step.get("alias"), str | None):
        yield Detail(f"{where}/alias", "a step's alias is a string")
    if not isinstance(step.get("nodePayload"), dict):
        yield Detail(f"{where}/nodePayload", "a step's nodePayload is an object")


def _generations(generations: Any, where: str) -> Iterator[Detail]:
    if not isinstance(generations, dict):
        yield Detail(where, "generations must be an object")
        return
    count, hashes = generations.get("generations", 1), generations.get("hashes", [])
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_GENERATIONS:
        yield Detail(f"{where}/generations", f"the number of generations is 1 to {MAX_GENERATIONS}")
    if not isinstance(hashes, list) or len(hashes) > MAX_GENERATIONS:
        yield Detail(f"{where}/hashes", f"hashes is a list of at most {MAX_GENERATIONS} strings")
    else:
        for index, each in enumerate(hashes):
            if not isinstance(each, str) or not 0 < len(each) <= MAX_NAME:
                yield Detail(f"{where}/hashes/{index}", f"a hash is a string of 1 to {MAX_NAME} characters")
    if not isinstance(generations.get("use_custom_hashes", False), bool):
        yield Detail(f"{where}/use_custom_hashes", "use_custom_hashes is true or false")


def _unknown_variables(data: dict[str, Any], pointer: str) -> Iterator[Detail]:
    known = variables.names(data.get("variables", []))
    hint = f"the collection's variables are {', '.join(known)}" if known else "the collection has no variables"
    for index, step in enumerate(data["steps"]):
        for where, text in strings(step["nodePayload"], f"{pointer}/steps/{index}/nodePayload"):
            for token in references.TOKEN.finditer(text):
                name = token[1].strip()
                if name not in known and not name.startswith("$ref"):
                    yield Detail(where, f"step {step['id']} uses an unknown variable {name!r}; {hint}")


def _is_step_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_STEP_ID


def _count(faults_: int) -> str:
    return "1 fault" if faults_ == 1 else f"{faults_} faults"
