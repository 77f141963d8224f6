"""Publishing right after a job has ended: what is sold is the chosen job, however many others end around it."""

import asyncio
from typing import Any
from uuid import UUID

from tests.integration.collections.test_metadata import run_job, until_finished
from tests.support.apps.collections import SELLABLE, Api, two_steps
from tests.support.publishing import Publisher

PUBLISHES = 50
JOBS = 3


def picture(first_asset: int) -> str:
    return f"https://cdn.example/{first_asset}.png"


async def test_fifty_quick_publishes_all_freeze_the_chosen_job(api: Api, engine: Publisher) -> None:
    """Each is requested while the events of its job are on the way, between a trial before it and one after it.

    The job is chosen in the request, or before on the draft, in turn. What was answered is what everybody gets.
    """
    choices: list[tuple[dict[str, Any], UUID, str]] = []
    for number in range(PUBLISHES):
        fields = {"title": f"Birds {number}", "description": "Seen", "data": two_steps(), **SELLABLE}
        collection = await api.create(fields)
        path, assets = f"/collections/{collection['id']}", range(1000 + number * JOBS, 1000 + (number + 1) * JOBS)
        await run_job(engine, collection, ["noir"], assets[0])
        job = await run_job(engine, collection, ["noir"], assets[1])
        trial = asyncio.create_task(run_job(engine, collection, ["noir"], assets[2]))
        body = {"job_id": str(job)}
        if number % 2:
            assert (await api.put(f"{path}/series", body)).status == 200
            body = {}
        published = (await api.post(f"{path}/publish", body)).data
        await trial
        assert published["series"]["job_id"] == str(job)
        assert [token["image"] for token in published["series"]["pictures"]] == [picture(assets[1])]
        choices.append((collection, job, picture(assets[1])))
    for collection, job, image in choices:
        await until_finished(api, collection["id"], JOBS)
        tokens = (await api.get(f"/collections/{collection['id']}/tokens", None)).body
        assert (tokens["count"], tokens["job_id"]) == (1, str(job))
        assert [token["image"] for token in tokens["data"]] == [image]
        assert (await api.get(f"/collections/{collection['id']}/tokens/1/metadata", None)).data["image"] == image
