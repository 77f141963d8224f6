"""What is wrong is refused with its code and pointer, and nothing is recorded."""

from typing import Any
from uuid import UUID, uuid4

from tests.integration.generation.working import Worker
from tests.support.apps.client import BOB
from tests.support.apps.generation import ANSWERED, FOXES, STYLE, Api, created, data
from tests.support.patience import eventually

DANGLING = {"id": 1, "nodeName": "frame", "nodePayload": {"image": {"$ref": 9}}}


CASES = [
    (FOXES, {"variables": {"style": "chalk"}}, (400, "VALIDATION_FAILED", ["/variables/style"])),
    (FOXES, {"variables": {"mood": "x"}}, (400, "VALIDATION_FAILED", ["/variables/mood"])),
    (FOXES, {"variables": ["style"]}, (400, "VALIDATION_FAILED", ["/variables"])),
    (FOXES, {"generations": 0}, (400, "VALIDATION_FAILED", ["/generations"])),
    (FOXES, {"generations": "2"}, (400, "VALIDATION_FAILED", ["/generations"])),
    (FOXES, {"generations": 10_001}, (400, "VALIDATION_FAILED", ["/generations"])),
    (FOXES, {"generations": 2, "hashes": ["a"]}, (400, "VALIDATION_FAILED", ["/hashes"])),
    (FOXES, {"hashes": ["a", 7]}, (400, "VALIDATION_FAILED", ["/hashes/1"])),
    (FOXES, {"dry_run": "yes"}, (400, "VALIDATION_FAILED", ["/dry_run"])),
    (FOXES, {"genrations": 2}, (400, "VALIDATION_FAILED", ["/genrations"])),
    (data(), {}, (400, "VALIDATION_FAILED", ["/data/steps"])),
    (data(DANGLING), {}, (400, "VALIDATION_FAILED", ["/data/steps/0/nodePayload/image/$ref"])),
    (
        data({"id": 1, "nodeName": "upscale", "nodePayload": {}}),
        {},
        (404, "WORKFLOW_NOT_FOUND", ["/data/steps/0/nodeName"]),
    ),
    (
        data({"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "{{colour}}"}}, variables=[STYLE]),
        {},
        (400, "VALIDATION_FAILED", ["/data/steps/0/nodePayload/prompt"]),
    ),
    (
        data({"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "x", "width": 9999}}),
        {},
        (400, "VALIDATION_FAILED", ["/data/steps/0/nodePayload/width"]),
    ),
]
"""The collection's data, the request's body, and the refusal: status, code, pointers."""


async def test_a_wrong_request_records_nothing(api: Api, collections):
    """Dry or not, the answer is the same."""
    for instructions, body, refusal in CASES:
        collection = await created(collections, instructions)
        for dry in ({}, {"dry_run": True}):
            answer = await api.generate(collection, **(dry | body))
            assert answer.refusal == refusal, body
    assert (await api.get("/jobs")).data == []
    assert not [event for event in await api.store.read_all() if event.type.startswith("job_")]


async def test_a_pick_that_is_refused_lists_its_values(api: Api, collections):
    """So that the client can choose again."""
    answer = await api.generate(await created(collections, FOXES), variables={"style": "chalk"})
    assert answer.body["details"][0]["message"] == "'style' takes one of 'ink', 'oil'"


async def test_a_body_that_is_no_request_is_refused(api: Api, collections):
    """With the error body, whatever it is."""
    collection = await created(collections, FOXES)
    headers = {"content-type": "application/json"}
    for body in ("", "[]", "{", "null", '"x"', '{"variables": {"style": "a\\u0000"}}', "[" * 5000):
        answer = await api.send("POST", f"/collections/{collection}/generations", data=body, headers=headers)
        assert (answer.status, answer.body["code"]) == (400, "VALIDATION_FAILED"), body


async def test_too_few_credits_are_a_402_and_reject_the_job(api: Api, collections, credits_, worker_: Worker):
    """Nothing runs, nothing is held; the same request again, with its key, is refused again."""
    collection = await created(collections, FOXES)
    answer = await api.generate(collection, generations=9, key="much")
    assert answer.refusal == (402, "INSUFFICIENT_CREDITS", [])
    assert answer.body["detail"] == "The job needs 11.25 credits, and 10 are available"
    assert (await api.generate(collection, generations=9, key="much")).status == 402
    [job] = (await api.get("/jobs")).data
    assert (job["status"], job["error"]) == ("rejected", answer.body["detail"])
    history = (await api.get(f"/jobs/{job['id']}/history")).data
    assert [entry["status"] for entry in history] == ["pending", "rejected"]
    events = await api.told(job["id"])
    assert [(item.event, item.data["status"]) for item in events] == [
        ("job_status", "pending"),
        ("job_status", "rejected"),
    ]
    assert worker_.worked == []
    assert await credits_.balance() == (10, 0, 0)


async def test_a_collection_that_does_not_exist_or_is_not_yours_is_a_404(api: Api, collections):
    """The two answers are the same."""
    collection = await created(collections, FOXES)
    assert (await api.generate(collection, dry_run=True)).status == 200
    answers = [await api.generate(collection, BOB), await api.generate(uuid4(), BOB)]
    assert [answer.refusal for answer in answers] == [(404, "NOT_FOUND", [])] * 2
    assert answers[0].body["detail"] == answers[1].body["detail"]


async def test_a_collection_that_was_created_a_moment_ago_is_waited_for(api: Api, collections):
    """Its creation may be on its way still."""
    collection = await created(collections, FOXES)
    assert (await api.generate(collection, dry_run=True)).status == 200


async def test_a_collection_that_is_known_to_its_creator_is_never_a_404(api: Api, collections):
    """Its creation was answered, and has not come here yet: 503, until it is here."""
    collection = await created(collections, FOXES)
    ANSWERED[collection] += 1  # not told yet
    api.is_patient = False
    answer = await api.generate(collection, dry_run=True)
    assert (answer.status, answer.body["code"]) == (503, "UNAVAILABLE")
    await created(collections, FOXES)
    assert (await api.generate(collection, dry_run=True)).status == 200


async def test_somebody_elses_job_is_a_404_by_every_endpoint(api: Api, collections, credits_, worker_: Worker):
    """The same answer as for a job that does not exist; without a token, 401."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    await api.ended(job_id)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/history", f"/jobs/{job_id}/events"):
        assert (await api.get(path, BOB)).refusal == (404, "NOT_FOUND", [])
        assert (await api.get(path.replace(job_id, str(uuid4())))).refusal == (404, "NOT_FOUND", [])
        assert (await api.get(path, None)).refusal == (401, "UNAUTHENTICATED", [])
    assert (await api.get("/jobs", BOB)).data == []
    assert (await api.generate(UUID(int=7), None)).status == 401


async def test_wrong_parameters_are_named(api: Api):
    """With a question mark before the parameter."""
    for name, value in (("cursor", "x"), ("limit", "0"), ("limit", "101"), ("collection_id", "x")):
        answer = await api.get(f"/jobs?{name}={value}")
        assert answer.refusal == (400, "VALIDATION_FAILED", [f"?{name}"])


async def test_the_built_in_workflows_are_listed(api: Api):
    """With what they cost and the form of their payloads."""

    async def all_three() -> Any:
        listed = (await api.get("/workflows")).data
        return listed if len(listed) >= 3 else None

    listed = await eventually(all_three, "the workflows to be listed")
    assert {item["name"]: (str(item["cost"]), item["version"], item["type"]) for item in listed} == {
        "caption": ("0.1", 1, "direct_job"),
        "frame": ("0.25", 1, "direct_job"),
        "sketch": ("1", 1, "direct_job"),
    }
    sketch = (await api.get("/workflows/sketch")).data
    assert [field["id"] for field in sketch["form"]["fields"]] == ["prompt", "palette", "width", "height", "seed"]
    assert (await api.get(f"/workflows/{sketch['id']}")).data == sketch
    assert (await api.get("/workflows/upscale")).refusal == (404, "WORKFLOW_NOT_FOUND", [])
