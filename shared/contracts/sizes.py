"""Sizes are bytes of JSON as it is stored and sent: a number counts as its digits, a control character as six bytes.

No event is larger than MAX_EVENT, which any NATS carries. The bounds below are set so that what is accepted never makes
a larger one, however variables, references and component ids expand; `tests/unit/growth/test_largest_events.py` builds
the largest of each. What has no bound here is bounded where it is checked (titles, names, paths, receivers, …).

    collection_created, instructions_revised   DATA + IMAGES + texts
    job_requested                              DATA + CHOSEN + the costs of 10,000 generations
    generation_started                         STARTED: drawn variables and payloads together
    step_scheduled                             SCHEDULED: a payload with everything put in
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
"""What makes one artwork again: the GenerationInput narrowed to what was chosen and drawn."""
MAX_OUTPUTS = 384 * KIB
"""Everything that the steps of one generation make, files counting as what is said of them."""
MAX_STARTED = 960 * KIB
"""What is drawn for one generation: every variable's value, and every step's payload with the values put in."""
MAX_SCHEDULED = 960 * KIB
"""A step's payload with the outputs of other steps put in."""
MAX_PART = 640 * KIB
"""One part of a list that is told in several events."""
MAX_JOB = 2 * 1024 * 1024 * KIB
"""The history of one job: what all of its generations record together."""


def encoded_size(value: Any) -> int:
    """Bytes of a JSON value as it is stored and sent."""
    return len(msgspec.json.encode(value))
