"""Generation's events describe its own files, and no others."""

from uuid import UUID, uuid4

import msgspec

from services.storage.app import SERVICE
from shared.contracts.generation import GenerationCompleted, GenerationFailed, Output, StepError, StepOutputs
from shared.projections import rebuild
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import GID, JOB, Api
from tests.support.publishing import Publisher

GEN_IN = {"version": "v2", "steps": [{"id": 77, "nodeName": "sketch", "nodePayload": {"seed": 9007199254740993}}]}


def completed(*asset_ids: int, user: UUID = ALICE, job: UUID = JOB, gid: UUID = GID):
    outputs = [Output(kind="asset", asset_id=asset_id) for asset_id in asset_ids]
    return GenerationCompleted(
        gid=gid,
        job_id=job,
        user_id=user,
        cost=1_000_000,
        outputs=[StepOutputs(77, outputs), StepOutputs(78, [Output(kind="text", text="a caption")])],
        gen_in_data=GEN_IN,
    )


async def described(api: Api, asset_id: int) -> dict:
    """The asset as soon as it is described; a later event of the same kind has then been seen, too."""
    return await api.until(lambda asset: asset["gen_out_data"] is not None, asset_id)


async def test_a_completed_generation_describes_its_files(api: Api, generation: Publisher):
    ids = [(await api.upload(b"x", name)).data["id"] for name in ("a.png", "b.png")]
    await generation.publish(GID, completed(*ids))
    for asset_id in ids:
        asset = await described(api, asset_id)
        assert asset["gen_in_data"] == GEN_IN
        assert asset["gen_out_data"] == {
            "gid": str(GID),
            "job_id": str(JOB),
            "status": "completed",
            "steps": [
                {"step_id": 77, "outputs": [{"kind": "asset", "asset_id": item} for item in ids]},
                {"step_id": 78, "outputs": [{"kind": "text", "text": "a caption"}]},
            ],
        }


async def test_numbers_come_out_as_they_were_recorded(api: Api, generation: Publisher):
    """Byte for byte, and in the order in which they were said."""
    description = {"z": [1e22, -0.0, 1e308, 5e-324, 2**64, -(2**70)], "a": {"2": 0.1, "1": 1.0, "é": "é"}}
    asset_id = (await api.upload(b"x")).data["id"]
    await generation.publish(GID, msgspec.structs.replace(completed(asset_id), gen_in_data=description))
    await described(api, asset_id)
    async with api.session.get(f"{api.url}/assets/{asset_id}", headers=api.users.bearer(ALICE)) as response:
        body = await response.read()
    assert b'"gen_in_data":' + msgspec.json.encode(description) in body
    [recorded] = [item for item in await api.runtime.store.read_all() if b"gen_in_data" in item.data]
    assert b'"gen_in_data":' + msgspec.json.encode(description) in recorded.data


async def test_a_failed_generation_describes_what_its_steps_had_made(api: Api, generation: Publisher):
    asset_id = (await api.upload(b"x")).data["id"]
    failed = GenerationFailed(
        gid=GID,
        job_id=JOB,
        user_id=ALICE,
        sid=uuid4(),
        error=StepError("WORKER_LOST", "no answer", retryable=True),
        outputs=[StepOutputs(77, [Output(kind="asset", asset_id=asset_id)])],
        gen_in_data=GEN_IN,
    )
    await generation.publish(GID, failed)
    asset = await described(api, asset_id)
    assert asset["gen_out_data"]["status"] == "failed"
    assert asset["gen_out_data"]["error"] == {"code": "WORKER_LOST", "message": "no answer", "retryable": True}


async def test_what_a_generation_says_of_files_that_it_did_not_make_is_not_believed(api: Api, generation: Publisher):
    """Another user's, another job's, another generation's, and one that does not exist."""
    mine = (await api.upload(b"x")).data["id"]
    yours = (await api.upload(b"x", grant=api.grant(BOB))).data["id"]
    other = uuid4()
    await generation.publish(other, completed(mine, yours, 999_999, gid=other))
    await generation.publish(GID, completed(mine))
    assert (await described(api, mine))["gen_out_data"]["gid"] == str(GID)
    assert (await api.get(f"/assets/{yours}", BOB)).data["gen_out_data"] is None


async def test_an_event_delivered_again_changes_nothing(api: Api, generation: Publisher):
    asset_id = (await api.upload(b"x")).data["id"]
    await generation.publish(GID, completed(asset_id))
    await described(api, asset_id)
    head = await api.runtime.store.head()
    [recorded] = await generation.store.read_stream(GID)
    [consumer] = [consumer for consumer in api.consumers if consumer.owner == "generation"]
    await consumer.handle(recorded)
    assert await api.runtime.store.head() == head


async def test_a_rebuilt_table_equals_the_live_one(api: Api, generation: Publisher):
    ids = [(await api.upload(b"x", f"{number}.png")).data["id"] for number in range(5)]
    await api.upload(b"x", grant=api.grant(BOB))
    await generation.publish(GID, completed(*ids[:3]))
    for asset_id in ids[:3]:
        await described(api, asset_id)
    events = {}
    for projection in SERVICE.projections:
        rebuilt = await rebuild(api.runtime.store, projection, swap=False)
        assert (rebuilt.missing, rebuilt.extra) == (0, 0)
        events[projection.name] = rebuilt.events
    assert events == {"assets": 9, "generation_files": 9, "renditions": 9}
