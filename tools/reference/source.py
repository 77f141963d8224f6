"""Reads what only the source has: docstrings of fields and constants, and calls with constant arguments."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from tools.exceptions import ROOT


def field_docstrings(owner: type | ModuleType) -> dict[str, str]:
    """The string after each assignment of a class or module, by the assigned name; of a class, with its bases'."""
    if isinstance(owner, ModuleType):
        return dict(_after_assignments(ast.parse(inspect.getsource(owner)).body))
    docstrings: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if base.__module__.partition(".")[0] in {"services", "shared", "workers"}:
            [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(definition, ast.ClassDef)
            docstrings |= dict(_after_assignments(definition.body))
    return docstrings


def _after_assignments(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        match statement, following:
            case (
                (ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)])),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)


def calls(names: set[str], *folders: str) -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call of a function by its bare name, in all Python files of the folders, in the order of their paths."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    yield path.relative_to(ROOT), node.func.id, node


def texts(call: ast.Call) -> list[str]:
    """The positional arguments that are strings, or the strings of one that is a list."""
    items: list[ast.expr] = []
    for argument in call.args:
        items += argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument]
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def keyword(call: ast.Call, name: str) -> object:
    """A keyword argument's value if it is written out; None if it is computed, or absent."""
    for argument in call.keywords:
        if argument.arg == name:
            with suppress(ValueError):
                return ast.literal_eval(argument.value)
    return None


def demanded_roles(path: Path, call: ast.Call) -> set[str] | None:
    """The roles in a route's `opt`: written out, part of an expression, or in a constant of the route's module."""
    option = next((argument.value for argument in call.keywords if argument.arg == "opt"), None)
    constants = {
        target.id: node.value
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    parts = list(ast.walk(option)) if option is not None else []
    parts += [constants[part.id] for part in parts if isinstance(part, ast.Name) and part.id in constants]
    for part in parts:
        if isinstance(part, ast.Dict):
            for key, value in zip(part.keys, part.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "roles":
                    return {str(role) for role in ast.literal_eval(value)}
    return None


def described_names(path: Path) -> Iterator[tuple[str, str]]:
    """The entries `"name": ("text", …)` of a file's dictionaries."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                match key, value:
                    case ast.Constant(value=str(name)), ast.Tuple(elts=[ast.Constant(value=str(text)), *_]):
                        yield name, text


RAISES = {"NoSecret", "Problem", "Reject", "Refused", "StepError", "StepFault", "permanent", "refusal", "transient"}
"""Functions and classes that take an error code as an argument."""
CODE = re.compile(r"[A-Z]{3,}(_[A-Z]+)*")


def error_codes(*folders: str) -> set[str]:
    """The error codes that are written out where an error is made."""
    return {
        value.value
        for _, _, call in calls(RAISES, *folders)
        for value in (*call.args, *(argument.value for argument in call.keywords))
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE.fullmatch(value.value)
    }
