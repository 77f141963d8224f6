"""`package_stored` of an early release → the places of its blocks, so that the gateway has them, too.

What this release builds is listed while it is built (`handlers/package.py`). An early release did not record whether a
package was a draft's: each one counts as published once its collection is.
"""

from dataclasses import dataclass

from services.storage.providers.file_store import FileStore, NoSuchFile
from services.storage.queries.asset import Queries
from services.storage.tables.package_blocks import BlockList, PackageBlocks
from shared.content.car_frames import CarFrames
from shared.contracts.storage import PackageStored
from shared.eventstore import RecordedEvent
from shared.processes import Process
from shared.telemetry import get_logger

NAME = "list-packages-v1"

log = get_logger("storage")


@dataclass(frozen=True)
class PackageLister:
    queries: Queries
    objects: FileStore
    package_blocks: PackageBlocks

    def process(self) -> Process:
        """Begins with the first event of the store."""
        return Process(NAME, (PackageStored,), self.list_blocks)

    async def list_blocks(self, recorded: RecordedEvent) -> None:
        """Reads the package's file once, unless it is listed. Raises UNAVAILABLE."""
        assert isinstance(recorded.event, PackageStored), recorded.type
        asset_id = recorded.event.asset_id
        if await self.package_blocks.is_listed(asset_id):
            return
        row = await self.queries.asset(asset_id)
        if row is None or row.collection_id is None:
            log.warning("a package is no asset of this service", asset_id=asset_id)
            return
        frames, blocks = CarFrames(), BlockList()
        try:
            async for piece in await self.objects.read(row.path, 0, row.size):
                blocks.add(frames.update(piece))
        except NoSuchFile:
            log.exception("a recorded file is not in the store", asset_id=asset_id, path=row.path)
            return
        await self.package_blocks.record(asset_id, row.collection_id, row.path, blocks)
