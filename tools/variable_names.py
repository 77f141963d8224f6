"""Finds variables and parameters named by an everyday participle, which says what was done, not what they hold."""

import ast
from collections.abc import Iterator

PARTICIPLES = frozenset(
    {
        *("answered", "asked", "begun", "drawn", "each", "found", "given", "gone", "heard", "kept", "known", "made"),
        *("named", "said", "seen", "shown", "taken", "told", "wanted", "written"),
    }
)
"""`each` says as little. Those that are terms of the domain, such as `held` and `stored`, are not among them."""


def refused_names(source: str) -> list[tuple[int, str]]:
    """The line and name of each place that binds such a name, with or without leading underscores.

    Functions, fields of classes, attributes and keywords of calls may have one: a function's is a verb, and the others
    may be stored or answered.
    """
    tree = ast.parse(source)
    fields = {id(target) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for target in _fields(node)}
    bindings = (binding for node in ast.walk(tree) if id(node) not in fields for binding in _bindings(node))
    return sorted({(line, name) for line, name in bindings if name.lstrip("_") in PARTICIPLES})


def _fields(definition: ast.ClassDef) -> Iterator[ast.expr]:
    for statement in definition.body:
        if isinstance(statement, ast.AnnAssign):
            yield statement.target
        elif isinstance(statement, ast.Assign):
            yield from statement.targets


def _bindings(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield node.lineno, name
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            yield node.lineno, name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield node.lineno, name
