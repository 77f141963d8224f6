"""Commands on publish packages: record the parts of a list, accept or refuse a build, record progress and outcome.

None takes long: what is accepted is built by the replica that holds the lease (`packaging/builder.py`).
"""

from functools import partial
from uuid import uuid4

import msgspec

from services.storage.deciders import PACKAGE
from services.storage.domain.package import (
    Command,
    Count,
    EndPackage,
    NoteProgress,
    Outcome,
    Package,
    TakePart,
    decide,
    package_stream,
)
from services.storage.tables.package_builds import PackageBuilds
from shared.content.package import size_of_files
from shared.contracts.collections import PackageCancelRequested, PackagePartListed, PackageRequested
from shared.contracts.storage import PackageFailed, PackageProgressed
from shared.eventstore import Context, EventStore

TOO_LARGE = "PACKAGE_TOO_LARGE"


class PackageHandlers:
    def __init__(self, store: EventStore, builds: PackageBuilds, max_bytes: int) -> None:
        """`max_bytes` bounds the files of a package."""
        self._store, self._builds, self._max_bytes = store, builds, max_bytes

    async def take_part(self, part: PackagePartListed, context: Context) -> None:
        """Records one part of a package's list of files. Idempotent."""
        stream_id = package_stream(part.package_id, part.attempt)
        await self._store.handle(PACKAGE, stream_id, partial(decide, TakePart(part)), context)

    async def accept(self, request: PackageRequested, context: Context) -> None:
        """Queues the build, and stops those of earlier attempts; or records why it can't be built. Idempotent."""
        package = await self.package(request)
        if package.outcome is not None:
            return
        missing = package.missing(request)
        if missing:
            reason = f"Part {missing[0]} of the package's list, which has {request.parts} parts, has not arrived"
            await self.end(request, PackageFailed(request.package_id, request.attempt, reason), context)
            return
        size = size_of_files(package.listed_parts())
        if size > self._max_bytes:
            await self.end(request, self.too_large(request, f"Its files have {size} bytes"), context)
            return
        await self._builds.add(request, size, context)

    async def cancel(self, event: PackageCancelRequested) -> None:
        """Asks the builder to stop an attempt; no effect if it has ended. Idempotent."""
        await self._builds.cancel(event.package_id, event.attempt)

    async def package(self, request: PackageRequested) -> Package:
        """The state of an attempt."""
        return (await self._store.load(PACKAGE, package_stream(request.package_id, request.attempt))).state

    async def note(self, request: PackageRequested, count: Count, context: Context) -> None:
        """Records how far a build has come."""
        progress = PackageProgressed(request.package_id, request.attempt, **msgspec.structs.asdict(count))
        await self._handle(request, NoteProgress(progress), msgspec.structs.replace(context, command_id=uuid4()))

    async def end(self, request: PackageRequested, outcome: Outcome, context: Context) -> None:
        """Records an attempt's outcome. Idempotent: the first one counts."""
        await self._handle(request, EndPackage(outcome), context)

    def too_large(self, request: PackageRequested, what: str) -> PackageFailed:
        """The outcome of an attempt that is larger than it may be; `what` begins the sentence."""
        reason = f"{what}; a package may have {self._max_bytes} (PACKAGE_MAX_BYTES, which the operator sets)"
        return PackageFailed(request.package_id, request.attempt, reason, TOO_LARGE)

    async def _handle(self, request: PackageRequested, command: Command, context: Context) -> None:
        stream_id = package_stream(request.package_id, request.attempt)
        await self._store.handle(PACKAGE, stream_id, partial(decide, command), context)
