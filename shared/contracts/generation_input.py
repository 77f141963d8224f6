"""GenerationInput, version "v2": what produces a collection's artwork, read and checked as a whole.

`read` gives the typed view, or refuses with every fault that it found, each with the JSON pointer of what is wrong.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import msgspec

from shared.contracts.places import values
from shared.contracts.problem import Detail, about, invalid
from shared.contracts.references import MAX_DEPTH, MAX_STEPS, TOKEN, depth
from shared.contracts.references import faults as reference_faults
from shared.contracts.variables import Variable, read_variables

MAX_GENERATIONS = 10_000
MAX_HASH = 256
MAX_DETAILS = 100
"""Faults that one answer lists; the rest would help nobody."""
LISTED = 20
"""Names that a refusal lists of those that could have been meant."""


class Step(msgspec.Struct, frozen=True):
    """One component. `pointer` is where it stands in the document it was read from."""

    id: int
    workflow: str
    payload: dict[str, Any]
    alias: str | None
    pointer: str


class GenerationInput(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...]
    variables: tuple[Variable, ...]
    generations: int
    hashes: tuple[str, ...]
    use_custom_hashes: bool
    written: dict[str, Any]
    """As it was given."""


def read(written: Any, pointer: str = "/data") -> GenerationInput:
    """The GenerationInput that stands at `pointer`. Raises VALIDATION_FAILED naming every fault."""
    faults: list[Detail] = []
    if not isinstance(written, dict):
        raise invalid("A GenerationInput is an object", Detail(pointer, "is an object with version, steps, variables"))
    if written.get("version") != "v2":
        faults.append(about(written, "version", pointer, 'the version is "v2"'))
    if "steps" not in written:
        faults.append(about(written, "steps", pointer, "steps is a list"))
    steps = _steps(written.get("steps", []), f"{pointer}/steps", faults)
    variables = read_variables(written.get("variables"), f"{pointer}/variables", faults)
    count, hashes, custom = _generations(written.get("generations"), f"{pointer}/generations", faults)
    faults.extend(reference_faults([(step.id, step.payload) for step in steps], pointer))
    declared = _declared(written.get("variables"))
    for step in steps:
        if len(faults) < MAX_DETAILS:
            faults.extend(islice(_payload_faults(step, declared), MAX_DETAILS))
    if faults:
        raise invalid("The collection's data is not a valid GenerationInput", *faults[:MAX_DETAILS])
    return GenerationInput(steps, variables, count, hashes, custom, written)


def _steps(written: Any, pointer: str, faults: list[Detail]) -> tuple[Step, ...]:
    if not isinstance(written, list):
        faults.append(Detail(pointer, "steps is a list"))
        return ()
    if len(written) > MAX_STEPS:
        faults.append(Detail(pointer, f"at most {MAX_STEPS} steps, here are {len(written)}"))
        return ()
    steps: list[Step] = []
    first: dict[int, int] = {}
    for index, each in enumerate(written):
        where = f"{pointer}/{index}"
        found = list(_step_faults(each, where))
        if not found:
            known = first.setdefault(each["id"], index)
            if known != index:
                found.append(Detail(f"{where}/id", f"step id {each['id']} is also that of {pointer}/{known}"))
        faults.extend(found)
        # A faulty step keeps its place, so that pointers into the steps after it stay true.
        if isinstance(each, dict) and not found:
            steps.append(Step(each["id"], each["nodeName"], each.get("nodePayload") or {}, each.get("alias"), where))
        else:
            steps.append(Step(-1 - index, "", {}, None, where))
    return tuple(steps)


def _step_faults(step: Any, where: str) -> Iterator[Detail]:
    if not isinstance(step, dict):
        yield Detail(where, "a step is an object with id, nodeName and nodePayload")
        return
    step_id = step.get("id")
    if not isinstance(step_id, int) or isinstance(step_id, bool) or not 0 < step_id < 2**63:
        yield about(step, "id", where, "a step's id is a positive 64-bit integer")
    name = step.get("nodeName")
    if not isinstance(name, str) or not name:
        yield about(step, "nodeName", where, "nodeName is the name of a workflow")
    if not isinstance(step.get("nodePayload"), dict | None):
        yield Detail(f"{where}/nodePayload", "nodePayload is an object")
    if not isinstance(step.get("alias"), str | None):
        yield Detail(f"{where}/alias", "alias is a text")


def _generations(written: Any, pointer: str, faults: list[Detail]) -> tuple[int, tuple[str, ...], bool]:
    if written is None:
        return 1, (), False
    if not isinstance(written, dict):
        faults.append(Detail(pointer, "generations is an object with generations, hashes, use_custom_hashes"))
        return 1, (), False
    count, hashes = written.get("generations", 1), written.get("hashes")
    custom = written.get("use_custom_hashes", False)
    if count is not None:
        faults.extend(count_faults(count, f"{pointer}/generations"))
    if hashes is not None:
        faults.extend(hash_faults(hashes, f"{pointer}/hashes"))
    if not isinstance(custom, bool | None):
        faults.append(Detail(f"{pointer}/use_custom_hashes", "use_custom_hashes is true or false"))
    return count or 1, tuple(hashes) if isinstance(hashes, list) else (), bool(custom)


def count_faults(count: Any, where: str) -> Iterator[Detail]:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_GENERATIONS:
        yield Detail(where, f"the number of generations is an integer from 1 to {MAX_GENERATIONS}")


def hash_faults(hashes: Any, where: str) -> Iterator[Detail]:
    if not isinstance(hashes, list) or len(hashes) > MAX_GENERATIONS:
        yield Detail(where, f"hashes is a list of at most {MAX_GENERATIONS} texts")
        return
    for index, each in enumerate(hashes):
        if not isinstance(each, str) or not 1 <= len(each) <= MAX_HASH:
            yield Detail(f"{where}/{index}", f"a hash is a text of 1 to {MAX_HASH} characters")


def _declared(variables: Any) -> frozenset[str]:
    """The names that the variables have, faulty ones among them: what is wrong with those is said of them alone."""
    listed = variables if isinstance(variables, list) else ()
    names = (each.get("name") for each in listed if isinstance(each, dict))
    return frozenset(name for name in names if isinstance(name, str))


def _payload_faults(step: Step, declared: AbstractSet[str]) -> Iterator[Detail]:
    """Unknown variables, and the one key that planning needs for itself."""
    if depth(step.payload) > MAX_DEPTH:
        return  # the references' check has said so
    for where, value in values(step.payload, f"{step.pointer}/nodePayload"):
        if isinstance(value, dict):
            if "$text" in value:
                yield Detail(str(where.under("$text")), "$text is reserved")
        elif isinstance(value, str):
            for name in dict.fromkeys(names_in(value)):
                if name not in declared:
                    yield Detail(str(where), f"there is no variable {{{{{_cut(name)}}}}}; {known_names(declared)}")


def names_in(text: str) -> Iterator[str]:
    """The variables that a text names, once per occurrence; `{{$ref:…}}` tokens are no variables."""
    for token in TOKEN.finditer(text):
        name = token[1].strip()
        if not name.startswith("$ref"):
            yield name


def known_names(declared: AbstractSet[str]) -> str:
    """What can be named, for who has named something else: the first few."""
    if not declared:
        return "the collection has no variables"
    more = ", …" if len(declared) > LISTED else ""
    return f"known are {', '.join(map(_cut, sorted(declared)[:LISTED]))}{more}"


def _cut(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
