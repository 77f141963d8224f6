"""A collection's `data`: the GenerationInput that produces its artwork, kept as it was given, unknown fields included.

Whether a step's workflow exists, and takes such a payload, is the generation service's to say, when a job is asked for.
"""

from typing import Any

from services.collections.domain.text import json_faults
from shared.contracts.generation_input import read
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import KIB, MAX_DATA, encoded_size

LARGE = 32 * KIB
"""Bytes that are checked in some ten milliseconds."""


def default() -> dict[str, Any]:
    """What a collection starts from when nothing is given: one built-in step, one variable to play with."""
    return {
        "version": "v2",
        "steps": [
            {
                "id": 1,
                "nodeName": "sketch",
                "alias": "Main",
                "nodePayload": {"prompt": "an abstract landscape at {{time}}", "seed": -1},
            }
        ],
        "generations": {"generations": 1, "hashes": [], "use_custom_hashes": False},
        "variables": [
            {
                "name": "time",
                "type": "pick",
                "value_type": "strings",
                "lock_value": False,
                "test_value": "dawn",
                "value": {
                    "display_names": ["Dawn", "Noon", "Dusk", "Midnight"],
                    "values": ["dawn", "noon", "dusk", "midnight"],
                    "weights": [1, 1, 1, 1],
                },
            }
        ],
    }


def check(data: Any, pointer: str) -> None:
    """Refuse instructions that could never be generated, naming each fault with its pointer below `pointer`."""
    unstorable = json_faults(data, pointer)
    if unstorable:
        raise invalid("The collection's data can't be stored", *unstorable)
    read(data, pointer)


def is_large(data: Any) -> bool:
    """Whether looking at it takes so long that nobody should wait for it who wants something else."""
    return encoded_size(data) > LARGE


def refuse_large(data: dict[str, Any], pointer: str = "/data") -> dict[str, Any]:
    """The instructions, unless they are larger than events that carry them can be. Components' ids count, too."""
    size = encoded_size(data)
    if size > MAX_DATA:
        message = f"takes {size} bytes as JSON with the ids of its components, more than {MAX_DATA}"
        raise invalid(f"The collection's data {message}", Detail(pointer, message))
    return data
