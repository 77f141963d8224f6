"""The studio: a worker of the three built-in workflows, whose handlers render in processes of their own."""

import contextlib
import os
from collections.abc import AsyncIterator
from importlib.metadata import version

from workers.kit import File, Returned, Step, Worker
from workers.kit.worker import settings_or_exit
from workers.studio.render_pool import RenderPool
from workers.studio.renderers import RENDERERS
from workers.studio.settings import StudioSettings

NAME = "worker"
"""In logs, metrics and traces, since the first release."""


def studio(settings: StudioSettings) -> Worker:
    """The worker, not running yet."""
    pool = RenderPool(settings.worker_concurrency, seconds=settings.render_seconds)

    async def render(step: Step) -> Returned:
        inputs = {field: await step.download(field) for field in RENDERERS[step.service].files}
        await step.progress(0.2, "rendering")
        rendered = await pool.render(step.service, step.hash, step.payload, inputs)
        if isinstance(rendered, File):
            await step.progress(0.8, "storing")
        return rendered

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            await pool.warm()
            yield
        finally:
            pool.close()

    async def renderers() -> str | None:
        return f"{pool.lost} lost" if pool.lost else None

    worker = Worker(
        NAME, version=version("emprops"), settings=settings, lifespan=lifespan, checks={"renderers": renderers}
    )
    for service in RENDERERS:
        worker.handles(service)(render)
    return worker


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    # Each rendering process uses one core; a thread pool of numpy's in every one of them would only cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    studio(settings_or_exit(StudioSettings, NAME)).run()


if __name__ == "__main__":
    main()
