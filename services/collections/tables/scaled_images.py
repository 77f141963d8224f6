"""The smaller copies of images, as storage has told of them: metadata names them, and packages contain them."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from shared.contracts.storage import ImageScaled
from shared.eventstore import EventStore

INSERT_SCALED: LiteralString = """
insert into scaled_images (asset_id, scaled) values (%s, %s) on conflict (asset_id) do nothing"""

SELECT_SCALED: LiteralString = "select asset_id, scaled from scaled_images where asset_id = any(%s)"


class ScaledImages:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, event: ImageScaled) -> None:
        """Records what was made of an image. Idempotent: it is made once."""
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_SCALED, (event.asset_id, msgspec.json.encode(event).decode()))

    async def of(self, asset_ids: Sequence[int]) -> dict[int, ImageScaled]:
        """Of those of the images that storage has told of, by asset id."""
        rows = await self._store.pool.rows(SELECT_SCALED, (list(asset_ids),)) if asset_ids else []
        return {asset_id: msgspec.json.decode(text, type=ImageScaled) for asset_id, text in rows}
