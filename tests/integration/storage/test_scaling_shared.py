"""Which tokens are scaled next, and what is done: whatever the read tables know, and with other replicas beside."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from services.storage.deciders import ASSET
from services.storage.domain.asset import asset_stream
from services.storage.scaling import scaler
from services.storage.scaling.image_scaler import ImageScaler
from services.storage.tables import unscaled_tokens
from services.storage.tables.published_collections import PublishedCollections, Source
from services.storage.tables.unscaled_tokens import BATCH, UnscaledToken, UnscaledTokens
from shared.contracts.collections import ChosenSeries, CollectionPublished, DocumentRules
from tests.integration.storage.test_public_tokens import generation_of
from tests.integration.storage.test_renditions import image_of, png, publish, scaled_of, waiting_numbers
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import Api, storage_service
from tests.support.patience import eventually
from tests.support.publishing import Publisher
from tests.support.servers import Bucket

MANY = 5 * BATCH
RULES = DocumentRules(3, {})


@pytest_asyncio.fixture
async def resting(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A service that scales nothing by itself."""
    monkeypatch.setattr(scaler.Scaler, "scale_all", lambda _: asyncio.sleep(0))
    yield api


def tokens_of(api: Api) -> UnscaledTokens:
    """As one replica sees them."""
    return UnscaledTokens(api.runtime.store)


async def sold(api: Api, user: UUID, count: int, *, version: int = 1, collection: UUID | None = None) -> UUID:
    """A publication that storage has handled."""
    collection = collection or uuid4()
    series = ChosenSeries(uuid4(), [uuid4() for _ in range(count)])
    event = CollectionPublished(collection, uuid4(), user, "2026-11-27T12:00:00.000Z", series, 1, RULES)
    await PublishedCollections(api.runtime.store).publish(event, Source(1, version))
    return collection


def counts(tokens: list[UnscaledToken]) -> dict[UUID, int]:
    users = [token.user_id for token in tokens]
    return {user: users.count(user) for user in users}


async def test_no_user_waits_for_another_users_many_images(resting: Api):
    """Whoever published first: the tokens of the next batch are of both; alone, a user has all of it."""
    await sold(resting, ALICE, MANY)
    tokens = tokens_of(resting)
    assert counts(await tokens.take()) == {ALICE: BATCH}
    await sold(resting, BOB, 2)
    assert counts(await tokens.take()) == {ALICE: BATCH // 2, BOB: 2}
    assert counts(await tokens.take()) == {ALICE: BATCH}


async def test_more_users_than_a_batch_has_places_are_served_in_rounds(resting: Api):
    users = [UUID(int=number + 1) for number in range(2 * BATCH + 1)]
    for user in users:
        await sold(resting, user, 3)
    tokens = tokens_of(resting)
    first, second, third = [counts(await tokens.take()) for _ in range(3)]
    assert first | second | third == dict.fromkeys(users, 1), "one token of each"
    assert list(third) == [users[-1]], "and the last has no more than the others"
    assert counts(await tokens.take()) == first


async def test_replicas_take_different_tokens(resting: Api):
    """All at once; those that nobody finishes are taken again."""
    await sold(resting, ALICE, MANY)
    replicas = [tokens_of(resting) for _ in range(5)]
    batches = await asyncio.gather(*(replica.take() for replica in replicas))
    tokens = [token for batch in batches for token in batch]
    assert len({token.number for token in tokens}) == len(tokens)
    while rest := await replicas[0].take():
        tokens += rest
    assert sorted(token.number for token in tokens) == list(range(1, MANY + 1))
    seconds = await replicas[0].seconds_until_next()
    assert seconds is not None
    assert 0 < seconds <= unscaled_tokens.CLAIM_SECONDS
    await resting.runtime.store.pool.rows("update unscaled_tokens set not_before = now() returning number", ())
    assert len(await replicas[1].take()) == BATCH


async def test_what_waits_for_another_try_waits_longer_each_time(resting: Api):
    """For a tenth of its age: so what will never be there costs little."""
    await sold(resting, ALICE, 1)
    tokens = tokens_of(resting)
    for age, pause in (("0 s", 0.5), ("1 minute", 6.0), ("30 days", 3600.0)):
        began = time.monotonic()
        await resting.runtime.store.pool.rows(
            "update unscaled_tokens set not_before = null, added_at = now() - %s::interval returning number", (age,)
        )
        await tokens.postpone(await tokens.take(), unscaled_tokens.LONGEST_SECONDS)
        seconds = await tokens.seconds_until_next()
        late = time.monotonic() - began
        assert seconds is not None
        assert pause - late <= seconds <= pause + late / 10


async def test_a_publication_is_recorded_with_its_tokens_or_not_at_all(resting: Api, monkeypatch: pytest.MonkeyPatch):
    """Or else an event that is delivered again would not add them. One that was handled adds nothing."""
    collection, insert_tokens = uuid4(), unscaled_tokens.INSERT_TOKENS
    monkeypatch.setattr(unscaled_tokens, "INSERT_TOKENS", "insert into no_such_table values (%s, %s, %s, %s)")
    with pytest.raises(psycopg.Error, match="no_such_table"):
        await sold(resting, ALICE, 2, collection=collection)
    monkeypatch.setattr(unscaled_tokens, "INSERT_TOKENS", insert_tokens)
    await sold(resting, ALICE, 2, collection=collection)
    assert await waiting_numbers(resting) == [1, 2]
    tokens = tokens_of(resting)
    await tokens.remove(await tokens.take())
    await sold(resting, ALICE, 2, collection=collection)
    assert await waiting_numbers(resting) == []
    await sold(resting, ALICE, 1, version=2, collection=collection)
    assert await waiting_numbers(resting) == [1], "after a restore, the new publication counts"


async def test_files_that_arrive_after_the_publication_are_scaled(
    api: Api, generation: Publisher, collections: Publisher
):
    """The token waits for them: it counts as done only when its copies are recorded."""
    gid = uuid4()
    await publish(collections, gid)

    async def is_postponed() -> bool:
        return await tokens_of(api).seconds_until_next() is not None

    await eventually(is_postponed, what="the token to wait")
    await generation_of(api, generation, (png(60, 40), "image/png"), gid=gid)
    assert (await scaled_of(api, await image_of(api))).width == 60


async def test_a_read_table_that_is_behind_ends_no_token(resting: Api, generation: Publisher, collections: Publisher):
    """One that lacks rows, as while a new version of it is built; the image's own events say what is done."""
    gid = await generation_of(resting, generation, (png(60, 40), "image/png"))
    asset_id = await image_of(resting)
    await publish(collections, gid)
    path = (await resting.get(f"/assets/{asset_id}")).data["path"]
    store, tokens = resting.runtime.store, tokens_of(resting)
    images = ImageScaler(store, resting.part("handlers"), resting.part("objects"))
    scale = partial(scaler.Scaler(store, images, tokens)._scale)

    async def next_token() -> UnscaledToken | None:
        await store.pool.rows("update unscaled_tokens set not_before = null returning 1", ())
        return next(iter(await tokens.take()), None)

    async def is_described() -> UnscaledToken | None:
        token = await next_token()
        return token if token and not token.is_unknown else None

    token = await eventually(is_described, what="the read tables to have the image")
    assert (token.path, token.is_own) == (path, True)
    await scale([token._replace(is_unknown=True, path=None, is_own=None)])
    assert await waiting_numbers(resting) == [1]
    await scale([token._replace(path="generations/no/such.png")])
    assert await waiting_numbers(resting) == [1]
    await scale([token])
    assert await waiting_numbers(resting) == []
    assert (await store.load(ASSET, asset_stream(path))).state.scaled is not None


async def test_two_replicas_share_the_images_of_a_publication(
    databases: Callable[..., str],
    nats_url: str,
    bucket: Bucket,
    tmp_path: Path,
    generation: Publisher,
    collections: Publisher,
    monkeypatch: pytest.MonkeyPatch,
):
    """Both are woken by it, each image is scaled by one of them, and each by some."""
    monkeypatch.setattr(unscaled_tokens, "BATCH", 2)
    monkeypatch.setattr(scaler, "CHECK_SECONDS", 3600.0)
    scale, paths = ImageScaler.scale, list[tuple[ImageScaler, str]]()

    async def noted(images: ImageScaler, path: str) -> bool:
        paths.append((images, path))
        return await scale(images, path)

    monkeypatch.setattr(ImageScaler, "scale", noted)
    start = partial(storage_service, databases(), nats_url, bucket, tmp_path)
    async with start(service_instance="first"), start(service_instance="second") as api:
        gids = [await generation_of(api, generation, (png(60, 40 + n), "image/png")) for n in range(12)]
        await publish(collections, *gids)

        async def is_done() -> bool:
            return len(paths) >= len(gids) and await waiting_numbers(api) == []

        await eventually(is_done, what="all images to be scaled")
        assert len({path for _, path in paths}) == len(paths) == len(gids), "each once"
        assert len({id(images) for images, _ in paths}) == 2, "by both replicas"
