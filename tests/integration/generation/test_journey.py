"""A job from its request to its end, as its user sees it."""

from decimal import Decimal
from uuid import UUID

from shared.contracts.collections import CollectionRetitled, InstructionsRevised
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE
from tests.support.apps.generation import FOXES, Api, created, data
from tests.support.patience import eventually


async def test_a_job_runs_to_its_end(api: Api, collections, credits_, worker_: Worker):
    """Two generations of two steps: held, run, charged, and every value where clients look for it."""
    collection = await created(collections, FOXES)
    accepted = await api.generate(collection)
    assert accepted.status == 202
    job_id = accepted.data["job_id"]
    # The answer waits a moment for credits' verdict, which takes longer on a busy machine.
    assert accepted.data["status"] in {"processing", "pending"}
    assert accepted.data == {
        "job_id": job_id,
        "status": accepted.data["status"],
        "events_url": f"https://api.test/jobs/{job_id}/events",
        "warnings": [],
    }
    job = await api.ended(job_id)
    assert {
        name: job[name] for name in job if name not in {"generations", "created_at", "started_at", "completed_at"}
    } == {
        "id": job_id,
        "name": "Collection Generation: Foxes",
        "job_type": "collection_generation",
        "status": "completed",
        "progress": Decimal("1.0"),
        "collection_id": str(collection),
        "user_id": str(ALICE),
        "error": None,
        "credits": {
            "quoted": Decimal("2.5"),
            "held": Decimal("2.5"),
            "captured": Decimal("2.5"),
            "released": Decimal(0),
        },
        "is_paused": False,
        "generation_counts": {"pending": 0, "processing": 0, "completed": 2, "failed": 0, "cancelled": 0},
        "next_cursor": None,
        "waiting_for": None,
        "seconds_left": None,
        "breakdown": [
            {"step_id": 11, "generations": 2, "cost": Decimal(2), "details": None},
            {"step_id": 12, "generations": 2, "cost": Decimal("0.5"), "details": None},
        ],
    }
    assert job["created_at"] <= job["started_at"] <= job["completed_at"]
    for generation in job["generations"]:
        assert generation["status"] == "completed"
        assert generation["variables"]["style"] in {"ink", "oil"}
        assert [(output["step_id"], output["kind"]) for output in generation["outputs"]] == [
            (11, "asset"),
            (12, "asset"),
        ]
        assert generation["outputs"][0].keys() == {"step_id", "kind", "asset_id", "url", "mime_type", "text"}
    await credits_.settled(("7.5", "0", "2.5"))


async def test_a_step_gets_what_was_drawn_and_what_it_refers_to(api: Api, collections, credits_, worker_: Worker):
    """Its payload is complete, and its grant is for its own place only."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    job = await api.ended(job_id)
    sketch, frame = worker_.worked
    style = job["generations"][0]["variables"]["style"]
    assert sketch.payload["prompt"] == f"a fox, {style}"
    assert 0 <= sketch.payload["seed"] < 2**32
    assert frame.payload == {"image": job["generations"][0]["outputs"][0]["url"], "title": style}
    assert sketch.context.hash == job["generations"][0]["hash"]
    assert (sketch.context.upload.url, sketch.attempt) == ("http://storage.test/uploads", 1)


async def test_a_history_tells_every_change(api: Api, collections, credits_, worker_: Worker):
    """In order, with the job's status from then on."""
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await api.ended(job_id)
    history = (await api.get(f"/jobs/{job_id}/history")).data
    assert [entry["status"] for entry in history] == ["pending", *["processing"] * 3, "completed"]
    assert history[0]["message"] == "2 generations requested for 2.5 credits"
    first = await api.get(f"/jobs/{job_id}/history?limit=2")
    rest = await api.get(f"/jobs/{job_id}/history?limit=10&cursor={first.body['next_cursor']}")
    assert [*first.data, *rest.data] == history


async def test_jobs_are_listed_newest_first_page_by_page(api: Api, collections, credits_, worker_: Worker):
    """Only one's own; filtered by collection and status."""
    foxes, owls = await created(collections, FOXES), await created(collections, FOXES, title="Owls")
    ids = [(await api.generate(fox, generations=1)).data["job_id"] for fox in (foxes, owls, foxes)]
    for job_id in ids:
        await api.ended(job_id)
    first = await api.get("/jobs?limit=2")
    rest = await api.get(f"/jobs?limit=2&cursor={first.body['next_cursor']}")
    assert [job["id"] for job in (*first.data, *rest.data)] == ids[::-1]
    assert rest.body["next_cursor"] is None
    assert [job["id"] for job in (await api.get(f"/jobs?collection_id={owls}")).data] == [ids[1]]
    assert (await api.get("/jobs?status=failed")).data == []
    assert (await api.get("/jobs", UUID(int=9))).data == []


async def test_the_same_hash_draws_the_same_again(api: Api, collections, credits_, worker_: Worker):
    """Another job with the hashes of the first: same variables, same payloads."""
    collection = await created(collections, data(FOXES["steps"][0], variables=FOXES["variables"]))
    first = await api.ended((await api.generate(collection, generations=3)).data["job_id"])
    hashes = [generation["hash"] for generation in first["generations"]]
    again = await api.ended((await api.generate(collection, hashes=hashes)).data["job_id"])
    variables = [[generation["variables"] for generation in job["generations"]] for job in (first, again)]
    assert variables[0] == variables[1]
    payloads = {work.context.hash: [] for work in worker_.worked}
    for work in worker_.worked:
        payloads[work.context.hash].append(work.payload)
    assert all(before == after for before, after in payloads.values())


async def test_a_dry_run_quotes_and_draws_and_does_nothing(api: Api, collections):
    """What it drew is what a job of these hashes draws; there is no job."""
    collection = await created(collections, FOXES)
    quote = await api.generate(collection, dry_run=True, hashes=["a", "b"], variables={"style": "oil"})
    assert quote.status == 200
    assert [(step["step_id"], step["service"], step["needs"]) for step in quote.data["plan"]] == [
        (11, "sketch", []),
        (12, "frame", [11]),
    ]
    costs = [(step["step_id"], step["generations"], step["cost"]) for step in quote.data["breakdown"]]
    assert costs == [(11, 2, Decimal(2)), (12, 2, Decimal("0.5"))]
    others = {name: value for name, value in quote.data.items() if name not in {"plan", "breakdown", "dry_run_token"}}
    assert others == {
        "quoted": Decimal("2.5"),
        "total": 2,
        "dry_run": True,
        "next_cursor": None,
        "warnings": [],
        "preview": None,
        "generations": [
            {"hash": hash_, "variables": {"style": "oil"}, "cost": Decimal("1.25")} for hash_ in ("a", "b")
        ],
    }
    assert (await api.get("/jobs")).data == []


async def test_the_same_key_gives_the_same_job(api: Api, collections, credits_, worker_: Worker):
    """Sent again while it runs and after it ended: one job, charged once."""
    collection = await created(collections, FOXES)
    answers = [await api.generate(collection, key="k1") for _ in range(3)]
    assert len({answer.data["job_id"] for answer in answers}) == 1
    await api.ended(answers[0].data["job_id"])
    assert (await api.generate(collection, key="k1")).data["status"] == "completed"
    await credits_.settled(("7.5", "0", "2.5"))


async def test_a_revised_collection_is_generated_as_it_is_now(api: Api, collections, credits_, worker_: Worker):
    """Generation's copy follows collections' events."""
    collection = await created(collections, data())
    caption = {"id": 5, "nodeName": "caption", "nodePayload": {"prompt": "owls"}}
    await collections.publish(
        collection, CollectionRetitled(collection, "Owls"), InstructionsRevised(collection, data(caption))
    )

    async def revised():
        return (await api.generate(collection, dry_run=True)).status == 200

    await eventually(revised, "the revision to arrive")
    job = await api.ended((await api.generate(collection)).data["job_id"])
    assert job["name"] == "Collection Generation: Owls"
    assert job["generations"][0]["outputs"][0]["text"] == "about owls"
    assert job["credits"]["captured"] == Decimal("0.1")
