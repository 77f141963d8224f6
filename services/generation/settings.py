"""What the generation service is told by its environment."""

from typing import Annotated

import msgspec

from shared.runtime import ServiceSettings


class GenerationSettings(ServiceSettings, frozen=True, kw_only=True):
    """Times are seconds."""

    grant_key_file: str
    """An Ed25519 private key as a JWK: what upload grants are signed with."""
    storage_url: str
    """Where workers reach the storage service."""
    nats_work_stream_replicas: int | None = None
    """Of the streams WORK and RESULTS, as the two below. What is not set here is left as the streams have it."""
    nats_work_stream_max_age: float | None = None
    """Seconds; 0 for no bound. Work that is dropped is sent again, a result that is dropped is lost."""
    nats_work_stream_max_bytes: int | None = None
    """-1 for no bound."""
    job_window: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Generations of one job that may be started and not ended. More keeps more workers busy with one job, and lets
    jobs that come later wait behind more of it."""
    open_generations: Annotated[int, msgspec.Meta(ge=1)] = 256
    """Of all jobs together; they are divided among the users who wait for some."""
    step_deadline: float = 3600.0
    """After this long without a result, an attempt counts as lost: waiting in the queue, and running."""
    missing_after: float = 30.0
    """After this long, a step whose message is no longer in the queue is sent again."""
    verdict_wait: float = 2.0
    """How long a request for generations waits for its credits before it answers `pending`."""
    adoption_wait: float = 2.0
    """How long such a request waits for a collection that may just have been created."""
