"""`emprops jobs`, with an operator's token: jobs of all users are listed, cancelled, resumed and paused."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.integration.generation.test_registry import Terminal
from tests.integration.generation.test_resume import failing
from tests.integration.generation.working import Worker, finished
from tests.support.apps.client import BOB
from tests.support.apps.generation import FOXES, Api, created

JOBS = ".venv/bin/emprops jobs"


async def test_failed_jobs_are_listed_and_resumed_in_a_batch(
    api: Api, collections: Any, credits_: Any, worker_: Worker, tmp_path: Path
) -> None:
    """A dry run resumes none. One that its user can't pay is refused with its code, and the others are resumed."""
    terminal = Terminal(api, tmp_path / "terminal", BOB)
    worker_.behave = failing("frame")
    collection = await created(collections, FOXES)
    job_ids = [(await api.generate(collection)).data["job_id"] for _ in range(2)]
    for job_id in job_ids:
        await api.ended(job_id, "failed")
    code, output = await terminal.run(f"{JOBS} list --status failed --since 1h --data data/set --json")
    assert code == 0, output
    assert [job["id"] for job in json.loads(output)] == job_ids[::-1]
    code, output = await terminal.run(f"{JOBS} list --collection {collection} --data data/set")
    assert code == 0, output
    assert all(job_id in output for job_id in job_ids)

    batch = f"{JOBS} resume --status failed --since 1h --data data/set"
    code, output = await terminal.run(f"{batch} --dry-run")
    assert output.splitlines()[0] == f"1/2  job {job_ids[1]}: 2 generations for 0.5 credits"
    assert (code, output.splitlines()[-1]) == (0, "2 would be resumed, for 1 credits")
    assert (await api.job(job_ids[0]))["status"] == "failed"

    await credits_.settled(("10", "0", "0"))
    dear = (await api.generate(collection, generations=8)).data["job_id"]  # all that the user has
    worker_.behave = finished
    await api.ended(dear)
    code, output = await terminal.run(f"{batch} --json")
    assert code == 1, output
    report = json.loads(output)
    assert report["summary"] == {"would be resumed": 0, "resumed": 0, "refused": 2, "quoted": 0}
    assert {job["code"] for job in report["jobs"]} == {"INSUFFICIENT_CREDITS"}

    await credits_.give("0.5")
    code, output = await terminal.run(batch)
    assert code == 1, output
    assert output.splitlines()[0] == f"1/2  job {job_ids[1]}: 2 generations for 0.5 credits"
    assert output.splitlines()[-1] == "1 resumed, 1 refused, for 0.5 credits"
    job = await api.ended(job_ids[1])
    assert job["credits"]["captured"] == Decimal("0.5")


async def test_one_job_is_paused_continued_cancelled_and_resumed(
    api: Api, collections: Any, credits_: Any, worker_: Worker, tmp_path: Path
) -> None:
    terminal = Terminal(api, tmp_path / "terminal", BOB)
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    code, output = await terminal.run(f"{JOBS} pause {job_id} --reason maintenance --data data/set")
    assert (code, output) == (0, f"job {job_id} is paused\n")
    code, output = await terminal.run(f"{JOBS} unpause {job_id} --data data/set --json")
    assert (code, json.loads(output)["is_paused"]) == (0, False)
    code, output = await terminal.run(f"{JOBS} cancel {job_id} --data data/set")
    assert code == 0, output
    assert output == (
        f"job {job_id} is cancelled: 0 generations have completed, 2 are cancelled;"
        " 0 credits are charged, 2.5 released\n"
    )
    worker_.may_work.set()
    code, output = await terminal.run(f"{JOBS} resume {job_id} --from nowhere --data data/set")
    assert code == 1
    assert output.startswith("emprops: ")
    assert "/from: must be last_completed, start, or the id of one" in output
    code, output = await terminal.run(f"{JOBS} resume {job_id} --from start --data data/set")
    assert (code, output) == (0, f"job {job_id}: 2 generations for 2.5 credits\n")
    await api.ended(job_id)


async def test_what_is_missing_or_wrong_is_told(api: Api, tmp_path: Path) -> None:
    terminal = Terminal(api, tmp_path / "terminal", BOB)
    for arguments, code, message in (
        ("resume --data data/set", 2, "give the id of a job, or --status with --since"),
        ("resume --status failed --data data/set", 2, "--status and --since go together"),
        ("list --since yesterday --data data/set", 2, "is not a time such as 24h"),
        ("cancel 0d9f6c1e-0000-0000-0000-000000000000 --data data/set", 1, "emprops: The job"),
        ("list", 2, "give --data DIR"),
        (f"list --url {api.url} --token {api.issuer.token(BOB)}", 1, "This needs the role operator"),
    ):
        exit_code, output = await terminal.run(f"{JOBS} {arguments}")
        assert exit_code == code, output
        assert message in output
