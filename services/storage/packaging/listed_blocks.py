"""Lists the blocks of a CAR file while it passes through."""

from services.storage.packaging.artworks import Pieces
from services.storage.tables.package_blocks import BlockList
from shared.content.car_frames import CarFrames


async def listed(car_file: Pieces, blocks: BlockList) -> Pieces:
    """The file unchanged; its blocks are added to `blocks`."""
    frames = CarFrames()
    async for piece in car_file:
        blocks.add(frames.update(piece))
        yield piece
