"""`inputs.json` in its two forms: a list of paths, and a table of a graph's nodes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from services.generation.domain.workflow.paths import BadPath, Path, parse_path
from services.generation.domain.workflow.template import RESERVED, Placement
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail


class ReadInputs(NamedTuple):
    placements: list[Placement]
    notes: list[str]
    faults: list[Detail]


def read_paths(inputs: Any, fields: frozenset[str]) -> ReadInputs:
    """`[{id, pathJq, is_required, default}]`; an empty `{}` stands for none."""
    result = ReadInputs([], [], [])
    if inputs in (None, {}):
        return result
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        result.faults.append(Detail("/inputs", "must be a list of {id, pathJq, is_required, default}"))
        return result
    for index, entry in enumerate(inputs):
        pointer = f"/inputs/{index}"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("pathJq"), str):
            result.faults.append(Detail(pointer, "must be an object with an id and a pathJq"))
            continue
        try:
            path = parse_path(entry["pathJq"])
        except BadPath as error:
            result.faults.append(Detail(f"{pointer}/pathJq", str(error)))
            continue
        _add(result, entry, entry.get("id"), path, fields, f"inputs.json entry {index}")
    return result


def read_nodes(inputs: Any, graph: Mapping[str, Any], fields: frozenset[str]) -> ReadInputs:
    """`{node id: {input name: {value, default, is_required}}}` for the nodes of a graph."""
    result = ReadInputs([], [], [])
    if inputs is None:
        return result
    if not isinstance(inputs, Mapping):
        result.faults.append(Detail("/inputs", "must be an object of nodes: {node id: {input name: {value, default}}}"))
        return result
    for node, name, entry in _entries(inputs, result):
        if node not in graph:
            result.notes.append(f"inputs.json sets {name!r} of node {node}, which the graph does not have")
            continue
        path = ("graph", node, "inputs", name)
        _add(result, entry, entry.get("value"), path, fields, f"inputs.json input {name!r} of node {node}")
    return result


def _entries(inputs: Mapping[str, Any], result: ReadInputs) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for node, names in inputs.items():
        pointer = f"/inputs/{escape_token(node)}"
        if not isinstance(names, Mapping):
            result.faults.append(Detail(pointer, "must be an object of the node's inputs"))
            continue
        for name, entry in names.items():
            if isinstance(entry, Mapping):
                yield node, name, entry
            else:
                result.faults.append(
                    Detail(f"{pointer}/{escape_token(name)}", "must be an object {value, default, is_required}")
                )


def _add(
    result: ReadInputs, entry: Mapping[str, Any], source: Any, path: Path, fields: frozenset[str], place: str
) -> None:
    """Adds a placement; a source that is no field and not reserved is noted, and its default is used."""
    is_known = isinstance(source, str) and (source in fields or source in RESERVED)
    default = entry.get("default")
    if not is_known:
        use = "its default is used" if default is not None else "the template's own value stays"
        result.notes.append(f"{place} names {source!r}, which is no field of the form: {use}")
    result.placements.append(
        Placement(
            source=source if is_known else "",
            path=path,
            is_required=is_known and entry.get("is_required") is True,
            default=default,
        )
    )
