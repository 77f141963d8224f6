"""Events of files that storage reports."""

from uuid import UUID

from services.collections.domain import component_asset
from services.collections.domain.component_asset import DescribeAsset, LinkAsset
from shared.contracts.collections import ComponentAssetDescribed, ComponentAssetLinked
from shared.contracts.storage import AssetStored
from tests.unit.collections.specification import ALICE, COLLECTION, given

FIELDS = {
    "asset_id": 7,
    "user_id": ALICE,
    "collection_id": COLLECTION,
    "component_id": 1001,
    "job_id": UUID(int=50),
    "gid": UUID(int=51),
    "name": "a.png",
    "path": "generations/a.png",
    "mime_type": "image/png",
    "sha256": "0" * 64,
    "size": 5,
}
LINKED = ComponentAssetLinked(**FIELDS)
DESCRIBED = ComponentAssetDescribed(7, {"version": "v2"}, {"status": "completed"})


def test_a_file_is_linked_to_the_component_that_made_it():
    given(component_asset).when(LinkAsset(AssetStored(**FIELDS))).then(LINKED)
    given(component_asset, LINKED).when(LinkAsset(AssetStored(**FIELDS))).then_nothing_happens()


def test_a_file_without_a_component_has_no_events():
    """Uploads, and later reports about them, are ignored."""
    given(component_asset).when(LinkAsset(AssetStored(**FIELDS | {"component_id": None}))).then_nothing_happens()
    given(component_asset).when(DescribeAsset(7, {}, {})).then_nothing_happens()


def test_the_input_of_a_file_is_recorded_once():
    command = DescribeAsset(7, DESCRIBED.gen_in_data, DESCRIBED.gen_out_data)
    given(component_asset, LINKED).when(command).then(DESCRIBED)
    given(component_asset, LINKED, DESCRIBED).when(command).then_nothing_happens()
