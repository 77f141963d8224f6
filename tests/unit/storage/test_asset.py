"""What is decided about a stored file: one path holds one file for ever, and only its own generation describes it."""

from functools import reduce
from uuid import UUID

import msgspec
import pytest

from services.storage.domain.asset import DescribeAsset, StoreAsset, asset_stream, decide, evolve
from shared.contracts.problem import Problem
from shared.contracts.storage import AssetDescribed, AssetStored

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


def decided(given, when):
    return decide(when, reduce(evolve, given, None))


def test_a_checked_file_is_recorded():
    assert decided([], StoreAsset(STORED)) == [STORED]


def test_the_same_file_again_is_the_asset_that_exists():
    assert decided([STORED], StoreAsset(msgspec.structs.replace(STORED, asset_id=8))) == []


def test_other_bytes_at_the_same_path_are_refused():
    with pytest.raises(Problem) as refused:
        decided([STORED], StoreAsset(msgspec.structs.replace(STORED, sha256="cd" * 32)))
    assert refused.value.code == "CONFLICT"


def test_the_generation_describes_its_asset():
    assert decided([STORED], DESCRIBE) == [DESCRIBED]


def test_the_same_description_again_changes_nothing():
    assert decided([STORED, DESCRIBED], DESCRIBE) == []


def test_a_resumed_generation_describes_its_asset_anew():
    failed = msgspec.structs.replace(DESCRIBED, gen_out_data={"status": "failed"})
    assert decided([STORED, failed], DESCRIBE) == [DESCRIBED]


@pytest.mark.parametrize("lie", [{"asset_id": 8}, {"user_id": OTHER}, {"job_id": OTHER}, {"gid": OTHER}])
def test_a_worker_that_names_a_file_not_made_by_its_generation_changes_nothing(lie):
    assert decided([STORED], msgspec.structs.replace(DESCRIBE, **lie)) == []


def test_a_file_that_was_never_stored_is_not_described():
    assert decided([], DESCRIBE) == []


def test_one_path_has_one_stream():
    assert asset_stream("uploads/a") == asset_stream("uploads/a") != asset_stream("uploads/b")
