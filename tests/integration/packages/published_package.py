"""A package of a published collection, built by the storage service, and what the gateway answers of it."""

import hashlib
from typing import NamedTuple
from uuid import UUID, uuid4

from shared.content.car_frames import CarFrames
from shared.content.cid import Cid
from shared.content.files import cid_of
from shared.content.package import Contents
from shared.contracts.collections import ChosenSeries, CollectionPublished, PackageRequested
from shared.contracts.storage import PackageStored
from tests.integration.packages.test_building import ask, outcome, uploaded
from tests.support.apps.client import ALICE, Answer
from tests.support.apps.storage import Api
from tests.support.publishing import Publisher
from tests.unit.content.contents import MIB, content
from tests.unit.content.package_file import COLLECTION, JOB

LARGE = content(2 * MIB + 5, 1)
FILES = [LARGE, b"", content(777, 2), content(777, 2)]
CAR, RAW = "application/vnd.ipld.car", "application/vnd.ipld.raw"
FOREVER = "public, max-age=29030400, immutable"


class Package(NamedTuple):
    """A package that was built, and its CAR file."""

    stored: PackageStored
    car: bytes
    inputs: Contents

    @property
    def root(self) -> str:
        return self.stored.root


async def build(
    api: Api, collections: Publisher, inputs: Contents, *, published: bool | None = True, parts: int = 1
) -> Package:
    request = PackageRequested(
        uuid4(), inputs.collection_id, inputs.job_id, ALICE, inputs.title, 1, parts, "", published=published
    )
    await ask(collections, request, inputs)
    stored = await outcome(api, request)
    assert isinstance(stored, PackageStored), stored
    return Package(stored, (await api.get(f"/assets/{stored.asset_id}/content")).raw, inputs)


async def publish(collections: Publisher) -> None:
    series = ChosenSeries(JOB, [UUID(int=1001)])
    event = CollectionPublished(COLLECTION, UUID(int=9), ALICE, "2026-11-27T12:00:00.000Z", series)
    await collections.publish(COLLECTION, event)


async def a_package(api: Api, collections: Publisher) -> Package:
    """Of a published collection."""
    await publish(collections)
    return await build(api, collections, await uploaded(api, FILES))


async def read(api: Api, path: str, **headers: str) -> Answer:
    api.is_patient = False
    return await api.get(f"/ipfs/{path}", None, **headers)


def blocks_of(car: bytes) -> dict[str, bytes]:
    """The blocks of a CAR file in their order, each compared with its CID."""
    blocks = {str(frame.cid): car[frame.place : frame.place + frame.length] for frame in CarFrames().update(car)}
    for cid, block in blocks.items():
        assert hashlib.sha256(block).digest() == Cid.parse(cid).digest
    return blocks


def file_cid(file: bytes) -> str:
    return str(cid_of(file))
