"""What the replica that builds packages writes is fenced: in one transaction with the check of its lease."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from services.storage.domain.package_turns import Build
from services.storage.tables.package_builds import PackageBuilds
from shared.eventstore.lease import Lease
from tests.support.apps.client import ALICE
from tests.support.apps.storage import Api

BUILD = Build(uuid4(), 1, ALICE, 9, 1)
WRITES: dict[str, Callable[[PackageBuilds, Lease], Awaitable[object]]] = {
    "begin": lambda builds, lease: builds.begin(BUILD, lease),
    "keep_upload": lambda builds, lease: builds.keep_upload(BUILD, "an id", lease),
    "postpone": lambda builds, lease: builds.postpone(BUILD, 5.0, failed=True, lease=lease),
    "remove": lambda builds, lease: builds.remove(BUILD, lease),
}


class NotingLease(Lease):
    """Notes whether it is checked within a transaction: else another replica could lead before the write."""

    def __init__(self) -> None:
        super().__init__("package-builds", 1)
        self.statuses: list[TransactionStatus] = []

    async def fence(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute("select 1")
        self.statuses.append(connection.info.transaction_status)


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_and_its_fence_are_one_transaction(api: Api, write: str):
    lease = NotingLease()
    await WRITES[write](PackageBuilds(api.runtime.store), lease)
    assert lease.statuses == [TransactionStatus.INTRANS]
