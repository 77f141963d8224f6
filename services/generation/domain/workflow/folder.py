"""A folder of the component library as a workflow's definition: a member for each file that is known."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from services.generation.domain.workflow.types import MEMBERS
from shared.contracts.problem import Detail, invalid

JSON_FILES: Mapping[str, str] = {
    "form.json": "form",
    "inputs.json": "inputs",
    "workflow.json": "workflow",
    "api.json": "api",
    "body.json": "body",
    "job.json": "job",
    "dynamic.json": "dynamic",
    "cost.json": "cost",
    "required_models.json": "required_models",
    "test.json": "test",
}
COST_FUNCTION = "credits.js"
SHARED_LISTS = "_form_confs"
"""The folder of option lists, beside the workflows' folders."""


def is_workflow_folder(name: str) -> bool:
    """Folders such as `_archive`, `_draft` and `_form_confs` are no workflows; hidden ones neither."""
    return not name.startswith(("_", "."))


def definition_of(name: str, files: Mapping[str, bytes], shared_lists: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of the workflow `name`, whose name is its folder's.

    `files`: the folder's own files, by name; those that are not known are passed over. `shared_lists`: the content of
    `_form_confs`, by file name. A graph may be in `<name>.json` instead of `workflow.json`. Raises VALIDATION_FAILED
    with a pointer that begins with a file's name.
    """
    faults: list[Detail] = []
    definition: dict[str, Any] = {}
    for file, member in JSON_FILES.items():
        if file in files:
            _read_json(files[file], file, member, definition, faults)
    if not MEMBERS.keys() & definition.keys() and f"{name}.json" in files:
        _read_json(files[f"{name}.json"], f"{name}.json", "workflow", definition, faults)
    if COST_FUNCTION in files:
        try:
            definition["credits"] = files[COST_FUNCTION].decode()
        except UnicodeDecodeError:
            faults.append(Detail(f"/{COST_FUNCTION}", "is not UTF-8"))
    lists = dict.fromkeys(_shared_lists(definition.get("form")))
    faults.extend(
        Detail("/form.json", f"names {SHARED_LISTS}/{file}, which does not exist")
        for file in lists
        if file not in shared_lists
    )
    if lists:
        definition["confs"] = {file: shared_lists[file] for file in lists if file in shared_lists}
    if faults:
        raise invalid(f"The folder {name} can't be read", *faults)
    return definition


def _read_json(text: bytes, file: str, member: str, definition: dict[str, Any], faults: list[Detail]) -> None:
    try:
        definition[member] = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        faults.append(Detail(f"/{file}", f"is not JSON: {error}"))


def _shared_lists(form: Any) -> Iterator[str]:
    if isinstance(form, Mapping):
        for fields in form.values():
            for field in fields if isinstance(fields, list) else ():
                if isinstance(field, Mapping) and isinstance(field.get("conf_file"), str):
                    yield field["conf_file"]
