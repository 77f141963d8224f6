"""A collection as a template: its instructions with some of their values replaced.

An override names a value of the instructions by its path: members after dots, indexes in brackets, as in
`data.steps[0].nodePayload.prompt`. The template has that value, so a misspelt path is refused and not added.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import UNSET

from services.collections.domain.collection import instructions
from services.collections.domain.collection.fields import FieldChanges, Fields, with_changes
from services.collections.domain.collection.state import Collection
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, Problem, invalid
from shared.contracts.rich_text import document_like, is_document
from shared.contracts.web_images import FETCH, web_images

MAX_OVERRIDES = 200
MAX_KEYS = 66
"""Keys of a path: `data`, and as many levels as instructions may have."""

Path = tuple[str | int, ...]

_PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[(?:0|[1-9][0-9]{0,8})\])*")
_KEY = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


def read_path(text: str) -> Path | None:
    """The keys of a path, an index as a number; None for a text that is no path."""
    if not _PATH.fullmatch(text):
        return None
    return tuple(name or int(index) for name, index in _KEY.findall(text))


def refuse_web_images(overrides: Mapping[str, Any]) -> None:
    """Raises VALIDATION_FAILED for images that are still to be fetched from the web, which the edge does."""
    message = "is fetched by the edge of the API alone: store the image with POST /assets/fetch, and send its url"
    faults = [
        Detail(str(place.child(FETCH)), message)
        for path, value in overrides.items()
        for place, _ in web_images(value, pointer_of(path))
    ]
    if faults:
        raise invalid(f"The overrides are not valid at {faults[0].pointer}: {message}", *faults)


def filled_fields(template: Collection, changes: FieldChanges) -> Fields:
    """The template's title and description, with changes; other fields have their defaults, as in a fork.

    Raises VALIDATION_FAILED with pointers below `/overrides`.
    """
    own = Fields(title=template.fields.title, description=template.fields.description)
    try:
        return with_changes(own, changes)
    except Problem as problem:
        sent = {name: (name,) for name in Fields.__struct_fields__ if getattr(changes, name) is not UNSET}
        raise _of_overrides(problem, sent) from problem


def filled_data(template: Collection, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The template's instructions with the values of the overrides, by path; linear in both.

    A text that replaces a rich document becomes a document of one paragraph. Raises VALIDATION_FAILED with a pointer
    below `/overrides` for a path that the template does not have, and for values with which it could not be generated.
    """
    data = copy.deepcopy(template.data)
    paths = {text: read_path(text) for text in overrides}
    faults = list(_path_faults(paths))
    if not faults:
        for text, value in overrides.items():
            path = paths[text]
            assert path is not None, "a text that is no path is a fault"
            if (fault := _replace(data, path, value)) is not None:
                faults.append(Detail(pointer_of(text), fault))
    if faults:
        raise invalid(f"The overrides are not valid at {faults[0].pointer}: {faults[0].message}", *faults)
    try:
        instructions.check(data, "/data")
    except Problem as problem:
        raise _of_overrides(problem, paths) from problem
    return data


def pointer_of(text: str) -> str:
    """The JSON pointer of an override in the request."""
    return f"/overrides/{escape_token(text)}"


def _path_faults(paths: Mapping[str, Path | None]) -> Iterator[Detail]:
    if len(paths) > MAX_OVERRIDES:
        yield Detail("/overrides", f"there are {len(paths)} overrides, more than {MAX_OVERRIDES}")
        return
    valid = {path for path in paths.values() if path is not None}
    for text, path in paths.items():
        if path is None or path[0] != "data" or not 2 <= len(path) <= MAX_KEYS:
            message = "is no field of a collection, and no path of its data, such as data.steps[0].nodePayload.prompt"
            yield Detail(pointer_of(text), message)
        elif any(path[:length] in valid for length in range(2, len(path))):
            yield Detail(pointer_of(text), "is inside the value of another override")


def _replace(data: dict[str, Any], path: Path, value: Any) -> str | None:
    """Replaces the value at the path. Returns a sentence when the data has no value there, and changes nothing."""
    container: Any = {"data": data}
    for number, key in enumerate(path):
        place = path_text(path[:number])
        match container, key:
            case dict(), str() if key not in container:
                return f"the template has no member {key!r} in {place}"
            case list(), int() if key >= len(container):
                return f"the template's {place} has {len(container)} entries, so no [{key}]"
            case (dict(), str()) | (list(), int()):
                pass
            case _:
                return f"the template's {place} is {_kind(container)}, so it has no {path_text((key,))}"
        if number < len(path) - 1:
            container = container[key]
    before = container[path[-1]]
    container[path[-1]] = document_like(before, value) if isinstance(value, str) and is_document(before) else value
    return None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a single value"


def path_text(path: Path) -> str:
    """The text of a path, as `read_path` reads it."""
    keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(keys).removeprefix(".")


def _of_overrides(problem: Problem, paths: Mapping[str, Path | None]) -> Problem:
    """The problem with pointers into the request: of the override that has, or lies in, the wrong value."""
    places = {"".join(f"/{escape_token(str(key))}" for key in path): text for text, path in paths.items() if path}
    details = [Detail(_place(detail.pointer, places), detail.message) for detail in problem.details]
    return Problem(problem.code, problem.detail, *details)


def _place(pointer: str, places: Mapping[str, str]) -> str:
    for ancestor in _ancestors(pointer):
        if ancestor in places:
            return pointer_of(places[ancestor]) + pointer.removeprefix(ancestor)
    within = [text for place, text in places.items() if place.startswith(f"{pointer}/")]
    if len(within) == 1:
        return pointer_of(within[0])
    return "/overrides"


def _ancestors(pointer: str) -> Iterable[str]:
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]
