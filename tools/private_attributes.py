"""A mypy plugin that refuses private names of third-party packages, whichever way they are reached.

Ruff's SLF001 reports `client._parser`, but not `self._parser` in a class that extends the library's.
"""

from collections.abc import Callable
from typing import TypeVar

from mypy.plugin import AttributeContext, FunctionContext, MethodContext, Plugin
from mypy.types import Type

from tools.exceptions import exceptions

OURS = frozenset({"benchmarks", "infra", "services", "shared", "tests", "tools", "workers"})
DOCUMENTED = frozenset({"_asdict", "_exit", "_fields", "_make", "_replace"})
"""Public in spite of their names: a named tuple's methods, and os._exit."""

Call = TypeVar("Call", FunctionContext, MethodContext)


def is_private(fullname: str) -> bool:
    """Whether a dotted name is a private attribute, method or function of a package that is not ours.

    False for what mypy has no dotted name for, such as a decorated method of `self`.
    """
    package, dot, _ = fullname.partition(".")
    name = fullname.rpartition(".")[2]
    is_underscored = name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED
    return bool(dot) and is_underscored and package not in OURS and fullname not in exceptions().private_attributes


def message(fullname: str) -> str:
    return f"{fullname} is private to its library: use what the library documents"


class PrivateAttributes(Plugin):
    """Reports each use of a private name as an error."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """For each attribute that is read or written."""
        if not is_private(fullname):
            return None

        def refuse(context: AttributeContext) -> Type:
            context.api.fail(message(fullname), context.context)
            return context.default_attr_type

        return refuse

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """For each method that is called on another object than `self`."""
        return _refuse_call(fullname) if is_private(fullname) else None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """For each function that is called, and each method of `self`."""
        return _refuse_call(fullname) if is_private(fullname) else None


def _refuse_call(fullname: str) -> Callable[[Call], Type]:
    def refuse(context: Call) -> Type:
        context.api.fail(message(fullname), context.context)
        return context.default_return_type

    return refuse


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001 - mypy's signature
    """The entry point that mypy calls."""
    return PrivateAttributes
