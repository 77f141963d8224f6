"""`emprops status` reports that a store was restored, as long as that epoch lasts."""

from shared.eventstore import Codec, EventStore
from shared.runtime.health import history_check


async def test_a_store_that_was_put_back_says_so(database: str) -> None:
    async with EventStore.open(database, Codec(())) as store:
        assert await history_check(store)() is None
        await store.begin_epoch("restored from a backup", 1, {})
        message = await history_check(store)()
    assert message is not None
    assert message.startswith("epoch 2 since ")
    assert message.endswith("from position 1 on: restored from a backup")
