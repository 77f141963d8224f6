"""Costs in JavaScript: the component library's `credits.js`, run unchanged in a sandboxed engine (QuickJS).

The file defines `computeCost(context)`, where `context` is the step's payload, and returns `{cost, details}` with the
cost in credits. It gets no clock, randomness or I/O, so it is a pure function of the payload: the quote and the charge
agree. `console` exists and is silent. Memory, stack and CPU time are bounded.
"""

import threading
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import ModuleType
from typing import Any, Literal

import msgspec

from services.generation.domain.workflow.cost import Compute, InvalidCost, Price

MAX_SOURCE = 64 * 1024
"""Characters of a cost function."""
MAX_DETAILS = 16 * 1024
"""Characters of the details that it returns, as JSON."""
MEMORY_BYTES, STACK_BYTES, CPU_SECONDS = 16 * 1024 * 1024, 256 * 1024, 0.1
MAX_REMEMBERED = 1_000
"""Results that are remembered for each function."""

PRELUDE = """
(() => {
  for (const name of ["Date", "performance", "WeakRef", "FinalizationRegistry", "Atomics", "SharedArrayBuffer",
                      "Promise", "queueMicrotask"]) delete globalThis[name];
  delete Math.random;
  const silent = () => undefined;
  globalThis.console = Object.freeze({log: silent, info: silent, warn: silent, error: silent, debug: silent});
  globalThis.module = {exports: {}};
  globalThis.exports = globalThis.module.exports;
  const {parse, stringify} = JSON, {isFinite} = Number, text = String, Watched = Proxy;
  return (payload, compute) => {
    const context = parse(payload), read = {__proto__: null};
    let all = false;
    const everything = (method) => (...given) => { all = true; return Reflect[method](...given); };
    const watched = new Watched(context, {
      get(target, key) { if (typeof key === "string") read[key] = true; else all = true; return target[key]; },
      has(target, key) { all = true; return key in target; },
      ownKeys: everything("ownKeys"),
      getOwnPropertyDescriptor: everything("getOwnPropertyDescriptor"),
    });
    const answer = compute(watched);
    const isObject = answer !== null && typeof answer === "object";
    const cost = isObject ? answer.cost : undefined;
    return stringify({
      kind: typeof cost,
      cost: typeof cost === "number" ? text(cost) : "",
      details: isObject && answer.details !== undefined ? answer.details : null,
      read: all ? null : Object.keys(read),
    });
  };
})()
"""
"""Removes what is not deterministic, and returns the function that calls `computeCost` and notes what it reads."""


class BadCost(InvalidCost):
    """The function can't be run, or what it returns is not a cost."""


class _Answer(msgspec.Struct, frozen=True):
    kind: Literal["number", "undefined", "string", "boolean", "object", "function", "bigint", "symbol"]
    cost: str
    details: Any
    read: list[str] | None
    """The payload's keys that the function has read; None if it looked at all of them."""


class CostFunction:
    """One `credits.js`. Thread-safe; results are remembered by the values that the function has read."""

    def __init__(self, source: str) -> None:
        """Raises BadCost if the source defines no `computeCost`, is too long, or is not valid JavaScript."""
        if len(source) > MAX_SOURCE:
            raise BadCost(f"has {len(source)} characters, more than {MAX_SOURCE}")
        self._source = source
        self._lock = threading.Lock()
        self._remembered: dict[tuple[str, ...] | None, dict[bytes, Price]] = {}
        self._count = 0
        _context(source)

    def cost(self, payload: Mapping[str, Any]) -> Price:
        """Raises BadCost if the function throws, takes too long, or returns no cost."""
        with self._lock:
            for keys, costs in self._remembered.items():
                if cached := costs.get(_values(payload, keys)):
                    return cached
        answer = self._run(payload)
        cost = Price(_credits(answer), _bounded(answer.details))
        keys = None if answer.read is None else tuple(sorted(answer.read))
        with self._lock:
            if self._count >= MAX_REMEMBERED:
                self._remembered, self._count = {}, 0
            self._remembered.setdefault(keys, {})[_values(payload, keys)] = cost
            self._count += 1
        return cost

    def _run(self, payload: Mapping[str, Any]) -> _Answer:
        call, context = _context(self._source)
        try:
            text = call(msgspec.json.encode(payload).decode(), context.eval("computeCost"))
        except _quickjs().JSException as error:
            raise BadCost(f"computeCost failed: {_first_line(error)}") from None
        if not isinstance(text, str):
            raise BadCost("computeCost returned what can't be written as JSON")
        return msgspec.json.decode(text, type=_Answer)


@lru_cache(maxsize=256)
def cost_function(source: str) -> CostFunction:
    """The function of a source, made once. Raises BadCost."""
    return CostFunction(source)


def cost_functions(source: str) -> Compute:
    """A `CostFunctions` for the domain. Raises BadCost."""
    return cost_function(source).cost


def _quickjs() -> ModuleType:
    """Imported when the first cost is computed: its import starts a thread, and the fork server must have none."""
    import quickjs  # noqa: PLC0415

    return quickjs  # type: ignore[no-any-return] # it has no types


def _context(source: str) -> tuple[Any, Any]:
    """A fresh engine with the source loaded: a function that keeps state between calls would not repeat.

    The function that calls `computeCost`, and the `quickjs.Context`.
    """
    quickjs = _quickjs()
    context = quickjs.Context()
    context.set_memory_limit(MEMORY_BYTES)
    context.set_max_stack_size(STACK_BYTES)
    context.set_time_limit(CPU_SECONDS)
    call = context.eval(PRELUDE)
    try:
        context.eval(source)
        kind = context.eval("typeof computeCost")
    except quickjs.JSException as error:
        raise BadCost(f"can't be read: {_first_line(error)}") from None
    if kind != "function":
        raise BadCost("defines no function computeCost(context); give the workflow a constant cost instead")
    return call, context


def _credits(answer: _Answer) -> Decimal:
    if answer.kind != "number":
        what = "no cost" if answer.kind == "undefined" else f"a cost that is a {answer.kind}"
        raise BadCost(f"computeCost returned {what}; it returns {{cost: <number of credits>}}")
    credits_ = Decimal(answer.cost)
    if not credits_.is_finite() or credits_ < 0:
        raise BadCost(f"computeCost returned {answer.cost}; a cost is a number of credits, 0 or more")
    return credits_


def _bounded(details: Any) -> Any:
    if len(msgspec.json.encode(details)) > MAX_DETAILS:
        raise BadCost(f"computeCost returned details of more than {MAX_DETAILS} bytes")
    return details


def _values(payload: Mapping[str, Any], keys: tuple[str, ...] | None) -> bytes:
    """The values of the keys; a key that is missing differs from one that is null."""
    if keys is None:
        return msgspec.json.encode(payload)
    return msgspec.json.encode([[payload[key]] if key in payload else [] for key in keys])


def _first_line(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0]
    return line[:300] if line and line != "null" else "it ran out of memory"
