"""The settings of the generation service, from its environment."""

from typing import Annotated

import msgspec

from shared.runtime import ServiceSettings


class GenerationSettings(ServiceSettings, frozen=True, kw_only=True):
    """Times are seconds."""

    grant_key_file: str
    """An Ed25519 private key as a JWK, which signs upload grants."""
    grant_retired_jwks_file: str = ""
    """A JWKS with the public keys of earlier grants: they stay valid while work that was sent with them waits."""
    storage_url: str
    """The storage service, as workers reach it."""
    s3_bucket: str = "emprops"
    """The bucket of the storage service: graphs and requests that ask for one (`bucket`) are given its name."""
    http_worker_wanted_file: str = ""
    """A file that is made when a fetch_api workflow is registered, so that `emprops up` starts the http worker."""
    emprops_secrets_key: str = ""
    """Encrypts the values of secrets: 32 bytes in base64. Without it there are no secrets."""
    nats_work_stream_replicas: int | None = None
    """Replicas of the streams WORK and RESULTS in a NATS cluster. If not set, the streams are left as they are."""
    nats_work_stream_max_age: float | None = None
    """Seconds for which NATS keeps a message of these streams; 0: no bound. Dropped work is sent again, and the attempt
    of a dropped result runs again."""
    nats_work_stream_max_bytes: int | None = None
    """Bytes that each of these streams may have; -1: no bound."""
    job_window: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Most open generations of one job (started, and not ended). More keeps more workers busy with one job, but later
    jobs wait behind more of it."""
    open_generations: Annotated[int, msgspec.Meta(ge=1)] = 256
    """Most open generations of all jobs together, divided among the users who have jobs."""
    step_deadline: float = 3600.0
    """How long an attempt may take at a worker. Time in the queue does not count."""
    attempt_lost_after: float = 60.0
    """After this long, an attempt that a worker was seen doing, and that no worker is seen doing any more, is lost."""
    max_queue_seconds: float = 86_400.0
    """How long a step may wait for a worker. A job to which nothing else happens for so long ends as `expired`.

    So does one whose credits are neither held nor refused. A request may state a shorter time of its own."""
    missing_after: float = 30.0
    """After this long, a step that was sent, and whose message and result are missing, is sent again."""
    user_concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most steps of one user that are at workers, or queued for them, at the same time; no bound if not set."""
    workflow_concurrency: str = ""
    """The same for workflows, by name: `sketch=4,upscale=1`."""
    cancel_wait: float = 5.0
    """How long a request to cancel a job waits for the end of its generations before it answers `202`."""
    verdict_wait: float = 2.0
    """How long a request for generations waits for the decision of credits before it answers `pending`."""
    adoption_wait: float = 2.0
    """How long such a request waits for a collection that may just have been created, until its event is consumed,
    and for the version of it that the request states."""

    def workflow_limits(self) -> dict[str, int]:
        """WORKFLOW_CONCURRENCY by name. Raises ValueError with what is wrong."""
        limits: dict[str, int] = {}
        for part in filter(None, (part.strip() for part in self.workflow_concurrency.split(","))):
            name, _, number = part.rpartition("=")
            if not name.strip() or not number.strip().isdecimal() or int(number) < 1:
                raise ValueError(
                    f"WORKFLOW_CONCURRENCY has entries such as sketch=4, with commas between; {part!r} is not one"
                )
            limits[name.strip()] = int(number)
        return limits
