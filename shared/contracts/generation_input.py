"""GenerationInput, version "v2": the steps and variables that produce a collection's artwork.

`read` validates and parses it as a whole: all faults are reported at once, each with its JSON pointer.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import msgspec

from shared.contracts.pointers import values
from shared.contracts.problem import Detail, about, invalid
from shared.contracts.references import MAX_DEPTH, MAX_STEPS, TOKEN, depth
from shared.contracts.references import faults as reference_faults
from shared.contracts.variables import Variable, read_variables

MAX_GENERATIONS = 10_000
MAX_HASH = 256
MAX_DETAILS = 100
"""Faults in one answer; further ones are left out."""
MAX_NAMES = 20
"""Declared names that an error message lists."""


class Step(msgspec.Struct, frozen=True):
    """One component. `pointer`: its JSON pointer in the document."""

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
    document: dict[str, Any]
    """The document that it was read from."""


def read(document: Any, pointer: str = "/data") -> GenerationInput:
    """The GenerationInput at `pointer`. Raises VALIDATION_FAILED with up to MAX_DETAILS faults."""
    faults: list[Detail] = []
    if not isinstance(document, dict):
        message = "must be an object with version, steps and variables"
        raise invalid("A GenerationInput must be an object", Detail(pointer, message))
    if document.get("version") != "v2":
        faults.append(about(document, "version", pointer, 'version must be "v2"'))
    if "steps" not in document:
        faults.append(about(document, "steps", pointer, "steps must be a list"))
    steps = _steps(document.get("steps", []), f"{pointer}/steps", faults)
    variables = read_variables(document.get("variables"), f"{pointer}/variables", faults)
    count, hashes, custom = _generations(document.get("generations"), f"{pointer}/generations", faults)
    faults.extend(reference_faults([(step.id, step.payload) for step in steps], pointer))
    declared = _declared(document.get("variables"))
    for step in steps:
        if len(faults) < MAX_DETAILS:
            faults.extend(islice(_payload_faults(step, declared), MAX_DETAILS))
    if faults:
        raise invalid("The collection's data is not a valid GenerationInput", *faults[:MAX_DETAILS])
    return GenerationInput(steps, variables, count, hashes, custom, document)


def _steps(documents: Any, pointer: str, faults: list[Detail]) -> tuple[Step, ...]:
    if not isinstance(documents, list):
        faults.append(Detail(pointer, "steps must be a list"))
        return ()
    if len(documents) > MAX_STEPS:
        faults.append(Detail(pointer, f"at most {MAX_STEPS} steps are allowed; there are {len(documents)}"))
        return ()
    steps: list[Step] = []
    first: dict[int, int] = {}
    for index, step in enumerate(documents):
        where = f"{pointer}/{index}"
        step_faults = list(_step_faults(step, where))
        if not step_faults:
            other = first.setdefault(step["id"], index)
            if other != index:
                step_faults.append(Detail(f"{where}/id", f"{pointer}/{other} has the same step id {step['id']}"))
        faults.extend(step_faults)
        # A faulty step keeps its index, so that pointers to later steps are right.
        if isinstance(step, dict) and not step_faults:
            steps.append(Step(step["id"], step["nodeName"], step.get("nodePayload") or {}, step.get("alias"), where))
        else:
            steps.append(Step(-1 - index, "", {}, None, where))
    return tuple(steps)


def _step_faults(step: Any, where: str) -> Iterator[Detail]:
    if not isinstance(step, dict):
        yield Detail(where, "a step must be an object with id, nodeName and nodePayload")
        return
    step_id = step.get("id")
    if not isinstance(step_id, int) or isinstance(step_id, bool) or not 0 < step_id < 2**63:
        yield about(step, "id", where, "a step's id must be a positive 64-bit integer")
    name = step.get("nodeName")
    if not isinstance(name, str) or not name:
        yield about(step, "nodeName", where, "nodeName must be the name of a workflow")
    if not isinstance(step.get("nodePayload"), dict | None):
        yield Detail(f"{where}/nodePayload", "nodePayload must be an object")
    if not isinstance(step.get("alias"), str | None):
        yield Detail(f"{where}/alias", "alias must be a string")


def _generations(document: Any, pointer: str, faults: list[Detail]) -> tuple[int, tuple[str, ...], bool]:
    if document is None:
        return 1, (), False
    if not isinstance(document, dict):
        faults.append(Detail(pointer, "generations must be an object with generations, hashes and use_custom_hashes"))
        return 1, (), False
    count, hashes = document.get("generations", 1), document.get("hashes")
    custom = document.get("use_custom_hashes", False)
    if count is not None:
        faults.extend(count_faults(count, f"{pointer}/generations"))
    if hashes is not None:
        faults.extend(hash_faults(hashes, f"{pointer}/hashes"))
    if not isinstance(custom, bool | None):
        faults.append(Detail(f"{pointer}/use_custom_hashes", "use_custom_hashes must be true or false"))
    return count or 1, tuple(hashes) if isinstance(hashes, list) else (), bool(custom)


def count_faults(count: Any, where: str) -> Iterator[Detail]:
    """A fault unless the count is an integer from 1 to MAX_GENERATIONS; `where` is its pointer."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_GENERATIONS:
        yield Detail(where, f"the number of generations must be an integer from 1 to {MAX_GENERATIONS}")


def hash_faults(hashes: Any, where: str) -> Iterator[Detail]:
    """The faults of a list of hashes, each with the pointer of its hash; `where` is that of the list."""
    if not isinstance(hashes, list) or len(hashes) > MAX_GENERATIONS:
        yield Detail(where, f"hashes must be a list of at most {MAX_GENERATIONS} strings")
        return
    for index, value in enumerate(hashes):
        if not isinstance(value, str) or not 1 <= len(value) <= MAX_HASH:
            yield Detail(f"{where}/{index}", f"a hash must be a string of 1 to {MAX_HASH} characters")


def _declared(variables: Any) -> frozenset[str]:
    """The names of all variables, also of faulty ones, so that their faults are reported once, not at every use."""
    documents = variables if isinstance(variables, list) else ()
    names = (variable.get("name") for variable in documents if isinstance(variable, dict))
    return frozenset(name for name in names if isinstance(name, str))


def _payload_faults(step: Step, declared: AbstractSet[str]) -> Iterator[Detail]:
    """Undeclared variables, and the key `$text`, which planning uses (PlannedStep)."""
    if depth(step.payload) > MAX_DEPTH:
        return  # reported by reference_faults
    for where, value in values(step.payload, f"{step.pointer}/nodePayload"):
        if isinstance(value, dict):
            if "$text" in value:
                yield Detail(str(where.child("$text")), "$text is reserved")
        elif isinstance(value, str):
            for name in dict.fromkeys(names_in(value)):
                if name not in declared:
                    yield Detail(str(where), f"there is no variable {{{{{_cut(name)}}}}}; {known_names(declared)}")


def names_in(text: str) -> Iterator[str]:
    """The variables in a text, once per occurrence; `{{$ref:…}}` tokens are references, not variables."""
    for token in TOKEN.finditer(text):
        name = token[1].strip()
        if not name.startswith("$ref"):
            yield name


def known_names(declared: AbstractSet[str]) -> str:
    """The declared names for an error message, MAX_NAMES at most."""
    if not declared:
        return "the collection has no variables"
    more = ", …" if len(declared) > MAX_NAMES else ""
    return f"declared are {', '.join(map(_cut, sorted(declared)[:MAX_NAMES]))}{more}"


def _cut(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
