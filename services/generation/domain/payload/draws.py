"""All randomness of a generation: pure functions of its hash, the same in every release and on every machine.

All numbers come from HMAC-SHA256 (RFC 2104, FIPS 180-4). The key is the generation's hash as UTF-8. The message is the
kind of draw, a zero byte, and the name of what is drawn, as UTF-8:

    number(hash, kind, name) = HMAC-SHA256(hash, kind + 0x00 + name), read as a big-endian integer of 256 bits

**A variable** is drawn with kind = `variable` and its own name. Its weights are first made integers in the same
proportion (`variables.shares_of`); with T their sum, the point is floor(number * T / 2^256), and the value drawn is the
first one whose running sum of weights exceeds the point. All arithmetic is on integers, so no rounding can differ.
The values of a range of numbers are those from `min` in steps up to `max`; values without weights weigh 1 each.
The draw depends on the hash and the variable's own name only, so adding, removing or reordering other variables
changes nothing.

**A seed** is drawn with kind = `seed` and the step's id in decimal: low + floor(number * (high - low + 1) / 2^256).
"""

import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from shared.contracts.generation_input import MAX_DETAILS, MAX_NAMES, known_names
from shared.contracts.number_ranges import NumberRange
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, invalid, quote
from shared.contracts.variables import Variable

MAX_SEED = 2**32 - 1


def number(hash_: str, kind: str, name: str) -> int:
    """256 bits as one integer, from the generation's hash and what is drawn."""
    return int.from_bytes(hmac.digest(hash_.encode(), kind.encode() + b"\0" + name.encode(), hashlib.sha256), "big")


def pick(hash_: str, name: str, sums: Sequence[int]) -> int:
    """The index drawn for a variable; `sums`: the running sums of its values' shares, of which the last is above 0."""
    return bisect_right(sums, number(hash_, "variable", name) * sums[-1] >> 256)


def seed(hash_: str, step_id: int, low: int = 0, high: int = MAX_SEED) -> int:
    """The drawn seed of a step; both bounds are possible values."""
    return low + (number(hash_, "seed", str(step_id)) * (high - low + 1) >> 256)


def draw(variables: Sequence[Variable], chosen: Mapping[str, Any], hash_: str) -> dict[str, Any]:
    """Each variable's value in the generation of this hash; those in `chosen` are not drawn."""
    return {
        variable.name: chosen[variable.name]
        if variable.name in chosen
        else variable.values[pick(hash_, variable.name, variable.sums)]
        for variable in variables
    }


def choose(variables: Sequence[Variable], request: Mapping[str, Any], pointer: str = "/variables") -> dict[str, Any]:
    """`chosen_values` of a request without faults. Raises VALIDATION_FAILED with its `chosen_faults`."""
    faults = chosen_faults(variables, request, pointer)
    if faults:
        raise invalid("The variables can't be set as requested", *faults[:MAX_DETAILS])
    return chosen_values(variables, request)


def chosen_values(variables: Sequence[Variable], request: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a request sets; faulty ones are left out.

    A choice for a pick becomes the pick's own value: 2.0 becomes its 2.
    """
    by_name = {variable.name: variable for variable in variables}
    chosen: dict[str, Any] = {}
    for name, value in request.items():
        if _fault(by_name, name, value) is not None:
            continue
        chosen[name] = value
        if by_name[name].type == "pick":
            place = by_name[name].place_of(value)
            assert place is not None, "a valid choice for a pick is one of its values"
            chosen[name] = by_name[name].values[place]
    return chosen


def chosen_faults(
    variables: Sequence[Variable], request: Mapping[str, Any], pointer: str = "/variables"
) -> list[Detail]:
    """Every unknown or locked variable, every value of the wrong type or not among its pick's values.

    And every variable without a value of its own that the request doesn't set.
    """
    by_name = {variable.name: variable for variable in variables}
    faults = [
        Detail(f"{pointer}/{escape_token(name)}", fault)
        for name, value in request.items()
        if (fault := _fault(by_name, name, value)) is not None
    ]
    faults.extend(
        Detail(
            f"{pointer}/{escape_token(variable.name)}",
            f"{variable.name!r} is required: it has no value in the collection",
        )
        for variable in variables
        if not variable.values and variable.name not in request
    )
    return faults


def _fault(by_name: Mapping[str, Variable], name: str, value: Any) -> str | None:
    variable = by_name.get(name)
    if variable is None:
        return f"there is no variable {quote(name)}; {known_names(by_name.keys())}"
    if variable.locked:
        return f"{name!r} is locked by the collection's creator"
    if variable.type == "pick" and (not variable.accepts(value) or variable.place_of(value) is None):
        listed = ", ".join(map(quote, variable.values[:MAX_NAMES]))
        more = ", …" if len(variable.values) > MAX_NAMES else ""
        return f"{name!r} takes one of {listed}{more}"
    if isinstance(variable.values, NumberRange) and (not variable.accepts(value) or value not in variable.values):
        return f"{name!r} takes {variable.values}"
    if not variable.accepts(value):
        return f"{name!r} takes a value of type {variable.value_type}"
    return None
