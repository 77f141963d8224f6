"""Bounds in bytes of JSON as it is stored and sent: a number counts its digits, a control character six bytes.

No event is larger than MAX_EVENT, NATS's default maximum. The bounds below ensure that accepted input never leads to a
larger one, however variables, references and component ids expand; `tests/unit/growth/test_largest_events.py` builds
the largest of each. Titles, names, paths, receivers and the like are bounded where they are validated.

    collection_created, instructions_revised   DATA + IMAGES + texts
    job_requested                              DATA + CHOSEN + the costs of 10,000 generations
    generation_started                         STARTED: drawn variables and payloads together
    step_scheduled                             SCHEDULED: a payload with variables and references resolved
    step_completed                             OUTPUTS
    generation_completed, asset_described      REPRODUCTION + OUTPUTS
"""

from typing import Any

import msgspec

KIB = 1024
MAX_EVENT = 1024 * KIB
"""An event with its headers and its metadata."""

MAX_DATA = 480 * KIB
"""A collection's GenerationInput, with the ids of its components."""
MAX_IMAGES = 128 * KIB
"""A collection's images."""
MAX_CHOSEN = 256 * KIB
"""The variables that a request for generations sets."""
MAX_REPRODUCTION = 560 * KIB
"""The GenerationInput that makes one artwork again, with the values that were chosen and drawn."""
MAX_OUTPUTS = 384 * KIB
"""All outputs of one generation's steps; a file counts with its metadata only."""
MAX_STARTED = 960 * KIB
"""One generation's plan: every variable's value, and every step's payload with the values inserted."""
MAX_SCHEDULED = 960 * KIB
"""A step's payload with the outputs of other steps inserted."""
MAX_PART = 640 * KIB
"""One part of a list that is split over several events."""
MAX_JOB = 2 * 1024 * 1024 * KIB
"""The history of one job and of all its generations."""


def encoded_size(value: Any) -> int:
    """Bytes of a JSON value as it is stored and sent."""
    return len(msgspec.json.encode(value))
