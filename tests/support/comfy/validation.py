"""ComfyUI's validation of a graph, by its recorded answers."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

Graph = Mapping[str, Any]
FAILED = ("prompt_outputs_failed_validation", "Prompt outputs failed validation")


def refused(kind: str, message: str, details: str = "", node_errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return {"error": error, "node_errors": node_errors or {}}


class Validation:
    """`refusal`, or the output nodes that can run; `node_errors` of those that cannot."""

    def __init__(self, graph: Graph, info: Mapping[str, Any], inputs: Mapping[str, bytes]) -> None:
        self.refusal: dict[str, Any] | None = None
        self.node_errors: dict[str, Any] = {}
        self.outputs: list[str] = []
        self._graph, self._info, self._inputs = graph, info, inputs
        for node_id, node in graph.items():
            if node.get("class_type") not in info:
                sentence = f"Cannot execute because node {node.get('class_type')} does not exist."
                self.refusal = refused("invalid_prompt", sentence, f"Node ID '#{node_id}'")
                return
        ends = [node_id for node_id, node in graph.items() if info[node["class_type"]]["output_node"]]
        if not ends:
            self.refusal = refused("prompt_no_outputs", "Prompt has no outputs")
            return
        for end in ends:
            if self._is_valid(end):
                self.outputs.append(end)
        if not self.outputs:
            self.refusal = refused(*FAILED, node_errors=self.node_errors)

    def _is_valid(self, end: str) -> bool:
        try:
            faults = dict(self._faults(end, (), is_end=True))
        except RecursionError:
            return False
        for node_id, errors in faults.items():
            class_type = self._graph[node_id]["class_type"]
            entry = {"errors": errors, "dependent_outputs": [end], "class_type": class_type}
            self.node_errors.setdefault(node_id, entry)
        return not faults

    def _faults(self, node_id: str, path: tuple[str, ...], *, is_end: bool) -> Iterator[tuple[str, list[Any]]]:
        if node_id in path:
            raise RecursionError(node_id)
        node = self._graph[node_id]
        declared = self._info[node["class_type"]]["input"]
        errors: list[Any] = []
        for group in ("required", "optional"):
            for name, specification in declared.get(group, {}).items():
                if name not in node["inputs"]:
                    if group == "required":
                        errors.append(_error("required_input_missing", "Required input is missing", name, name))
                    continue
                value = node["inputs"][name]
                if isinstance(value, list):
                    faults = yield from self._link_faults(value, name, specification, (*path, node_id), is_end=is_end)
                    errors += faults
                else:
                    errors += self._value_faults(node["class_type"], name, value, specification)
        if errors:
            yield node_id, errors

    def _link_faults(
        self, link: list[Any], name: str, specification: Any, path: tuple[str, ...], *, is_end: bool
    ) -> Generator[tuple[str, list[Any]], None, list[Any]]:
        """Yields the faults of the linked node, as `_faults` does; returns those of the link."""
        where = "exception_during_validation" if is_end else "exception_during_inner_validation"
        if link[0] not in self._graph:
            return [_error(where, "Exception when validating node", repr(link[0]), name)]
        output_types = self._info[self._graph[link[0]]["class_type"]]["output"]
        if link[1] >= len(output_types):
            return [_error(where, "Exception when validating node", "tuple index out of range", name)]
        input_type, output_type = specification[0], output_types[link[1]]
        if (
            isinstance(input_type, str)
            and "*" not in (input_type, output_type)
            and output_type not in input_type.split(",")
        ):
            details = f"{name}, received_type({output_type}) mismatch input_type({input_type})"
            return [_error("return_type_mismatch", "Return type mismatch between linked nodes", details, name)]
        yield from self._faults(link[0], path, is_end=False)
        return []

    def _value_faults(self, class_type: str, name: str, value: Any, specification: Any) -> list[Any]:
        kind, bounds = specification[0], specification[1] if len(specification) > 1 else {}
        if class_type in {"LoadImage", "LoadImageMask"} and name == "image":
            if value in self._inputs:
                return []
            details = f"image - Invalid image file: {value}"
            return [_error("custom_validation_failed", "Custom validation failed for node", details, name)]
        options = kind if isinstance(kind, list) else bounds.get("options") if kind == "COMBO" else None
        if options is not None and value not in options:
            details = f"{name}: '{value}' not in {options}"
            return [_error("value_not_in_list", "Value not in list", details, name)]
        if kind in {"INT", "FLOAT"} and value < bounds.get("min", value):
            message = f"Value {value} smaller than min of {bounds['min']}"
            return [_error("value_smaller_than_min", message, name, name)]
        if kind in {"INT", "FLOAT"} and value > bounds.get("max", value):
            message = f"Value {value} bigger than max of {bounds['max']}"
            return [_error("value_bigger_than_max", message, name, name)]
        return []


def _error(kind: str, message: str, details: str, name: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {"input_name": name}}
