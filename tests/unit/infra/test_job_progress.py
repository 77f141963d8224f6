"""A job's progress, folded from the events that a client receives, as `emprops jobs watch` shows it."""

from io import StringIO

from rich.console import Console

from infra.cli.job_progress import JobProgress, StepProgress
from infra.cli.jobs_watch import _table

SKETCH = {"gid": "aaaaaaaa-1", "step_id": 11, "workflow": "sketch"}
FRAME = {"gid": "aaaaaaaa-1", "step_id": 12, "workflow": "frame"}


def test_steps_and_generations() -> None:
    progress = JobProgress()
    progress.note("job_status", {"status": "pending", "generations": 2})
    progress.note("job_status", {"status": "processing"})
    progress.note("node_started", SKETCH)
    progress.note("node_progress", {**SKETCH, "progress": 0.25})
    assert progress.last_changed(9) == [("aaaaaaaa-1", {11: StepProgress(share=0.25)})]
    progress.note("error", {**SKETCH, "code": "BROKEN", "retrying": True})
    progress.note("node_completed", SKETCH)
    progress.note("node_progress", {**SKETCH, "progress": 0.9})
    progress.note("node_started", FRAME)
    progress.note("error", {**FRAME, "code": "BROKEN", "retrying": False})
    progress.note("job_status", {"status": "processing", "gid": "aaaaaaaa-1", "error": "BROKEN: it broke"})
    assert (progress.status, progress.ended, progress.total, progress.step_ids) == ("processing", 1, 2, [11, 12])
    [(_, steps)] = progress.last_changed(9)
    assert (steps[11].state, steps[12].state, steps[12].error) == ("completed", "failed", "BROKEN")
    progress.note("job_status", {"status": "failed", "error": "BROKEN: it broke"})
    assert progress.error == "BROKEN: it broke"


def test_what_it_waits_for_is_shown_until_it_goes_on() -> None:
    wait = {
        "reason": "unworkable",
        "services": ["direct_job.sketch"],
        "since": "2026-11-27T12:00:01.5Z",
        "message": "No connected worker does direct_job.sketch: it goes on when one connects",
    }
    progress = JobProgress()
    progress.note("job_status", {"status": "processing"})
    progress.note("job_waiting", {"waiting_for": wait})
    out = StringIO()
    Console(file=out, width=160).print(_table("Foxes", progress))
    assert f"waits: {wait['message']} (since 2026-11-27 12:00:01 UTC)" in out.getvalue()
    progress.note("job_waiting", {"waiting_for": None})
    assert progress.waiting is None


def test_after_a_gap_everything_comes_again() -> None:
    progress = JobProgress()
    progress.note("job_status", {"status": "pending", "generations": 2})
    progress.note("node_started", SKETCH)
    progress.note("gap", {"after": 17})
    assert (progress.status, progress.step_ids, progress.last_changed(9)) == ("unknown", [], [])


def test_the_generations_that_changed_last_are_shown() -> None:
    progress = JobProgress()
    for number in range(30):
        progress.note("node_started", {**SKETCH, "gid": f"{number:03}"})
    progress.note("node_completed", {**SKETCH, "gid": "001"})
    assert [gid for gid, _ in progress.last_changed(3)] == ["001", "028", "029"]


def test_the_table() -> None:
    progress = JobProgress()
    progress.note("job_status", {"status": "processing", "generations": 1})
    progress.note("node_started", {**SKETCH, "workflow": "ske[red]tch\x1b"})
    progress.note("node_progress", {**SKETCH, "progress": 0.5})
    output = StringIO()
    Console(file=output, width=100).print(_table("Foxes", progress))
    text = output.getvalue()
    assert "Foxes: processing, 0 of 1 generations" in text
    assert "ske[red]tch\\x1b" in text, "what users wrote is neither markup nor a control character"
    assert "━" in text
