"""What the generation service is told by its environment."""

from shared.runtime import ServiceSettings


class GenerationSettings(ServiceSettings, frozen=True, kw_only=True):
    """Times are seconds."""

    grant_key_file: str
    """An Ed25519 private key as a JWK: what upload grants are signed with."""
    storage_url: str
    """Where workers reach the storage service."""
    step_deadline: float = 3600.0
    """After this long without a result, an attempt counts as lost: waiting in the queue, and running."""
    missing_after: float = 30.0
    """After this long, a step whose message is no longer in the queue is sent again."""
    verdict_wait: float = 2.0
    """How long a request for generations waits for its credits before it answers `pending`."""
    adoption_wait: float = 2.0
    """How long such a request waits for a collection that may just have been created."""
