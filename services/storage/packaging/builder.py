"""Builds the packages that wait, on the one replica that holds the lease `package-builds`.

A build may take hours: it is no handler of an event. When its replica ends, another one begins it again, and sends only
what the file store does not have yet. A build that is cancelled ends at its next piece, and its bytes are deleted.
"""

from dataclasses import dataclass
from functools import partial
from itertools import count
from uuid import UUID

from services.storage.domain.package import Count, Outcome, Package
from services.storage.domain.package_turns import Build, next_builds
from services.storage.handlers.package import PackageHandlers
from services.storage.packaging.artworks import Unpackable
from services.storage.packaging.meter import Meter, Stopped
from services.storage.packaging.package_file import MEDIA_TYPE, PackageFiles, path_of
from services.storage.providers.file_store import FileStore, KeptUpload
from services.storage.tables.package_builds import CHANGED, BegunBuild, PackageBuilds
from shared.contracts.collections import PackageRequested
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageStopped
from shared.eventstore import Context, EventStore
from shared.eventstore.lease import Fenced, Lease, run_as_leader
from shared.handling.retry import raise_if_cancelled
from shared.handling.transient import is_transient
from shared.stopping import Group
from shared.telemetry import get_logger

LEASE = "package-builds"
LOOK_EVERY = 2.0
"""Seconds between two looks at the table while builds wait or run; a change of the table causes one, too."""
POSTPONED_SECONDS = 5.0
"""How long a build waits after an error."""
MAX_FAILURES = 5
"""Errors, other than outages, after which a package has failed."""
MAX_STARTS = 20
"""Starts without an end after which a package has failed: it may be what ends the process."""
INTERRUPTED = "VALIDATION_FAILED"
"""What storing a file raises if its bytes stop coming: of a package, which is made here, that is an outage."""

log = get_logger("storage")


@dataclass
class Running:
    """A build in this process; `meter` stops it."""

    build: Build
    meter: Meter | None = None


class PackageBuilder:
    """Builds at most `at_once` packages at the same time; which ones, `next_builds` decides."""

    def __init__(
        self,
        store: EventStore,
        handlers: PackageHandlers,
        builds: PackageBuilds,
        files: PackageFiles,
        objects: FileStore,
        at_once: int,
    ) -> None:
        self._store, self._handlers, self._builds = store, handlers, builds
        self._files, self._objects, self._at_once = files, objects, at_once
        self._running: dict[tuple[UUID, int], Running] = {}
        self._last_turns: dict[UUID, int] = {}
        self._turns = count()

    async def run(self) -> None:
        """Builds while this replica holds the lease, until cancelled."""
        await run_as_leader(self._store, LEASE, self._lead)

    async def _lead(self, lease: Lease) -> None:
        self._running.clear()
        marks = self._store.watermarks
        async with Group() as tasks:
            while True:
                changes = marks.value(CHANGED)
                await marks.wait_beyond(CHANGED, changes, await self._look(tasks, lease))

    async def _look(self, tasks: Group, lease: Lease) -> float | None:
        """Stops the builds that are cancelled, begins those whose turn it is. Returns the seconds until the next look.

        None: when the table has changed.
        """
        try:
            for build in await self._builds.cancelled():
                running = self._running.get((build.package_id, build.attempt))
                if running is None:
                    self._begin(build, tasks, lease)
                elif running.meter is not None:
                    running.meter.is_stopped = True
            running_builds = [running.build for running in self._running.values()]
            waiting = await self._builds.waiting()
            for build in next_builds(waiting, running_builds, self._at_once, self._last_turns):
                self._last_turns[build.user_id] = next(self._turns)
                self._begin(build, tasks, lease)
            is_idle = not self._running and not await self._builds.are_any()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("package builds wait", error=repr(error))
            return LOOK_EVERY
        return None if is_idle else LOOK_EVERY

    def _begin(self, build: Build, tasks: Group, lease: Lease) -> None:
        running = self._running[build.package_id, build.attempt] = Running(build)
        tasks.create_task(self._run(running, lease))

    async def _run(self, running: Running, lease: Lease) -> None:
        build = running.build
        try:
            start = await self._builds.begin(build, lease)
            if start is not None:
                await self._attempt(running, start, lease)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - after any error, the package must end or be tried again
            raise_if_cancelled()
            await self._postpone(build, error, lease)
        finally:
            del self._running[build.package_id, build.attempt]
            self._store.watermarks.count(CHANGED)

    async def _attempt(self, running: Running, start: BegunBuild, lease: Lease) -> None:
        """Builds the package, unless it is cancelled or has ended, and records the outcome."""
        build, request = running.build, start.request
        keep = partial(self._builds.keep_upload, build, lease=lease)
        upload = self._objects.kept_upload(path_of(request), MEDIA_TYPE, keep)
        if start.upload_id is not None:
            await upload.resume(start.upload_id)
        package = await self._handlers.package(request)
        if package.outcome is None:
            outcome: Outcome
            if start.is_cancelled:
                outcome = PackageStopped(request.package_id, request.attempt)
            elif start.starts > MAX_STARTS:
                outcome = _given_up(request)
            else:
                note = partial(self._note, request, start.context)
                running.meter = Meter(note, partial(self._builds.is_cancelled, build))
                outcome = await self._outcome(start, package, upload, running.meter)
            await upload.discard()
            await self._handlers.end(request, outcome, start.context)
        await upload.discard()
        await self._builds.remove(build, lease)

    async def _outcome(self, start: BegunBuild, package: Package, upload: KeptUpload, meter: Meter) -> Outcome:
        """Raises UNAVAILABLE while PostgreSQL or the file store can't be reached."""
        request = start.request
        try:
            return await self._files.build(request, package, upload, meter, start.context)
        except Stopped:
            return PackageStopped(request.package_id, request.attempt)
        except Unpackable as error:
            return PackageFailed(request.package_id, request.attempt, str(error))
        except Problem as problem:
            if problem.code == "PAYLOAD_TOO_LARGE":
                return self._handlers.too_large(request, "It has more bytes than its files")
            if problem.code in {"UNAVAILABLE", INTERRUPTED}:
                raise
            return PackageFailed(request.package_id, request.attempt, problem.detail, problem.code)

    async def _note(self, request: PackageRequested, context: Context, progress: Count) -> None:
        """Records how far the build is, unless PostgreSQL is out: the build goes on without it."""
        try:
            await self._handlers.note(request, progress, context)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("the progress of a package is not recorded", error=repr(error))

    async def _postpone(self, build: Build, error: Exception, lease: Lease) -> None:
        """Lets the build wait after an error; ends it after MAX_FAILURES, other than outages."""
        is_outage = is_transient(error) or (isinstance(error, Problem) and error.code == INTERRUPTED)
        identity = {"package_id": str(build.package_id), "attempt": build.attempt}
        if is_outage:
            log.warning("a package waits", error=repr(error), **identity)
        else:
            log.error("a package could not be built", exc_info=error, **identity)
        try:
            failures = await self._builds.postpone(build, POSTPONED_SECONDS, failed=not is_outage, lease=lease)
            if failures >= MAX_FAILURES:
                start = await self._builds.begin(build, lease)
                if start is not None:
                    await self._handlers.end(start.request, _given_up(start.request), start.context)
        except Exception as later:
            if not is_transient(later):
                raise
            log.warning("a package waits", error=repr(later), **identity)


def _given_up(request: PackageRequested) -> PackageFailed:
    reason = "A fault of the service prevents it from being built; its log has the details. Request it again later"
    return PackageFailed(request.package_id, request.attempt, reason, "INTERNAL_ERROR")
