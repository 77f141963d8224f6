"""Readiness check of the file store: writes a small object and deletes it. Packages and images that wait."""

import time

from prometheus_client import CollectorRegistry, Gauge

from services.storage.providers.file_store import FileStore
from services.storage.tables.package_builds import PackageBuilds
from services.storage.tables.unscaled_tokens import UnscaledTokens
from shared.contracts.problem import Problem
from shared.http import NotReady
from shared.progress import Progress

SUCCESS_SECONDS = 5.0
"""Seconds for which a success is cached: readiness may be probed many times a second."""
MAX_SECONDS = 600.0
"""An image that still fails so long after its publication is a problem: its collection's packages wait for it."""


class FileStoreCheck:
    def __init__(self, store: FileStore, instance: str) -> None:
        self._store, self._path = store, f".health/{instance or 'storage'}"
        self._good_until = 0.0

    async def __call__(self) -> str | None:
        if time.monotonic() < self._good_until:
            return None
        try:
            await self._store.try_to_write(self._path)
        except Problem as problem:
            raise NotReady(problem.detail) from problem
        self._good_until = time.monotonic() + SUCCESS_SECONDS
        return None


class Backlog:
    """Packages that are not built, and images that are not scaled. Large ones take long, so that alone is no problem.

    It is one if no replica builds packages, or if an image was tried in vain for MAX_SECONDS.
    """

    def __init__(self, builds: PackageBuilds, lease: str, tokens: UnscaledTokens, registry: CollectorRegistry) -> None:
        """`lease`: that of the replica that builds packages."""
        self._builds, self._lease, self._tokens = builds, lease, tokens
        self._packages = Gauge("storage_packages_waiting", "Publish packages that are not built yet", registry=registry)
        self._package_seconds = Gauge(
            "storage_packages_waiting_seconds", "How long the oldest of them has waited", registry=registry
        )
        self._images = Gauge(
            "storage_images_waiting",
            "Images of published tokens without smaller copies; 10,000 at most",
            registry=registry,
        )
        self._image_seconds = Gauge(
            "storage_images_waiting_seconds", "How long the oldest of them has waited", registry=registry
        )

    async def progress(self) -> list[Progress]:
        """Also written to the gauges."""
        packages, package_seconds, leader = await self._builds.backlog(self._lease)
        images, image_seconds = await self._tokens.backlog()
        self._packages.set(packages)
        self._package_seconds.set(package_seconds)
        self._images.set(images)
        self._image_seconds.set(image_seconds)
        tried = await self._tokens.oldest_tried()
        late = tried if tried and tried.seconds > MAX_SECONDS else None
        return [
            Progress(
                name="packages",
                waiting=packages,
                waiting_seconds=package_seconds if leader is None else 0.0,
                error=f"no replica holds the lease {self._lease}" if leader is None and packages else None,
                leader=leader,
            ),
            Progress(
                name="images without copies",
                waiting=images,
                waiting_seconds=late.seconds if late else 0.0,
                event=f"token {late.number} of collection {late.collection_id}" if late else None,
                error=f"tried {late.tries} times: see the service's log" if late else None,
            ),
        ]
