"""What is decided about a stored file: a path never gets another file, and only its own generation describes it."""

from uuid import UUID

import msgspec
import pytest

from services.storage.domain.asset import DescribeAsset, StoreAsset, asset_stream, decide, evolve
from shared.contracts.storage import AssetDescribed, AssetStored
from tests.support.specification import Aggregate

USER, JOB, GID, SID = (UUID(int=number) for number in range(1, 5))
STORED = AssetStored(
    asset_id=7,
    user_id=USER,
    name="a.png",
    path=f"generations/{USER}/{JOB}/{GID}/{SID}/a.png",
    mime_type="image/png",
    size=3,
    sha256="ab" * 32,
    job_id=JOB,
    gid=GID,
    sid=SID,
)
DESCRIBE = DescribeAsset(7, USER, JOB, GID, {"version": "v2"}, {"status": "completed"})
DESCRIBED = AssetDescribed(7, {"version": "v2"}, {"status": "completed"})
OTHER = UUID(int=99)
ASSET = Aggregate(None, evolve, decide)


def test_a_checked_file_is_recorded():
    ASSET.given().when(StoreAsset(STORED)).then(STORED)


def test_the_same_file_again_is_the_asset_that_exists():
    ASSET.given(STORED).when(StoreAsset(msgspec.structs.replace(STORED, asset_id=8))).then_nothing_happens()


def test_other_bytes_at_the_same_path_are_refused():
    ASSET.given(STORED).when(StoreAsset(msgspec.structs.replace(STORED, sha256="cd" * 32))).then_refused("CONFLICT")


def test_the_generation_describes_its_asset():
    ASSET.given(STORED).when(DESCRIBE).then(DESCRIBED)


def test_the_same_description_again_changes_nothing():
    ASSET.given(STORED, DESCRIBED).when(DESCRIBE).then_nothing_happens()


def test_a_resumed_generation_describes_its_asset_anew():
    failed = msgspec.structs.replace(DESCRIBED, gen_out_data={"status": "failed"})
    ASSET.given(STORED, failed).when(DESCRIBE).then(DESCRIBED)


@pytest.mark.parametrize("lie", [{"asset_id": 8}, {"user_id": OTHER}, {"job_id": OTHER}, {"gid": OTHER}])
def test_a_worker_that_names_a_file_not_made_by_its_generation_changes_nothing(lie):
    ASSET.given(STORED).when(msgspec.structs.replace(DESCRIBE, **lie)).then_nothing_happens()


def test_a_file_that_was_never_stored_is_not_described():
    ASSET.given().when(DESCRIBE).then_nothing_happens()


def test_one_path_has_one_stream():
    assert asset_stream("uploads/a") == asset_stream("uploads/a") != asset_stream("uploads/b")
