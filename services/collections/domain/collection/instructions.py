"""A collection's `data`: the GenerationInput that produces its artwork. Stored as sent, with unknown fields.

The generation service checks steps against their workflows when a job is requested.
"""

from typing import Any

from services.collections.domain.text import json_faults
from shared.contracts.generation_input import read
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import KIB, MAX_DATA, encoded_size

LARGE = 32 * KIB
"""Bytes. Data of this size is checked in about 10 ms."""


def default() -> dict[str, Any]:
    """The data of a collection that is created without any: a step of a built-in workflow, and a variable."""
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
    """Raises VALIDATION_FAILED for data that could never be generated, with each fault's pointer below `pointer`."""
    unstorable = json_faults(data, pointer)
    if unstorable:
        raise invalid("The collection's data can't be stored", *unstorable)
    read(data, pointer)


def is_large(data: Any) -> bool:
    """Whether checking the data takes so long that it should run in a thread, not on the event loop."""
    return encoded_size(data) > LARGE


def refuse_large(data: dict[str, Any], pointer: str = "/data") -> dict[str, Any]:
    """Returns the data, with component ids. Raises VALIDATION_FAILED if it is too large for an event."""
    size = encoded_size(data)
    if size > MAX_DATA:
        message = f"takes {size} bytes as JSON with the ids of its components, more than {MAX_DATA}"
        raise invalid(f"The collection's data {message}", Detail(pointer, message))
    return data
