"""The library to write a worker with: see README.md, and docs/how-to/write-a-worker.md."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from shared.backoff import Backoff
    from shared.contracts.generation import Output
    from workers.kit.answers import post_json
    from workers.kit.faults import StepFault, permanent, transient
    from workers.kit.files import File, Json
    from workers.kit.handlers import Returned
    from workers.kit.settings import WorkerSettings
    from workers.kit.step import BlockingStep, Step, StepStopped
    from workers.kit.worker import Worker

__all__ = [
    "Backoff",
    "BlockingStep",
    "File",
    "Json",
    "Output",
    "Returned",
    "Step",
    "StepFault",
    "StepStopped",
    "Worker",
    "WorkerSettings",
    "permanent",
    "post_json",
    "transient",
]

__getattr__ = lazily(
    __name__,
    {
        "shared.backoff": ("Backoff",),
        "shared.contracts.generation": ("Output",),
        "workers.kit.answers": ("post_json",),
        "workers.kit.faults": ("StepFault", "permanent", "transient"),
        "workers.kit.files": ("File", "Json"),
        "workers.kit.handlers": ("Returned",),
        "workers.kit.settings": ("WorkerSettings",),
        "workers.kit.step": ("BlockingStep", "Step", "StepStopped"),
        "workers.kit.worker": ("Worker",),
    },
)
