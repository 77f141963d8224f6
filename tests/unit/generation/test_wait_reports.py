"""Followers of a job get what it waits for: after it has lasted, when it changes, and repeated at intervals."""

from typing import Any
from uuid import UUID

from services.generation.event_stream.wait_reports import CHECK_EVERY, REPEAT_AFTER, WaitReports
from services.generation.views.job import WaitingFor

JOB = UUID(int=1)
UNWORKABLE = WaitingFor("unworkable", ["direct_job.sketch"])


class Hub:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, job_id: UUID, event: Any) -> None:
        assert (job_id, event.id, event.event) == (JOB, None, "job_waiting")
        self.told.append(event.data["waiting_for"] and event.data["waiting_for"]["reason"])


def looks(*waits: WaitingFor | None) -> list[Any]:
    """The reports to followers after these checks in a row; None: the job waits for nothing."""
    hub: Any = Hub()
    reports = WaitReports(hub, lambda _: None)  # type: ignore[arg-type, return-value]
    for number, wait in enumerate(waits):
        reports.report({JOB: wait}, number * CHECK_EVERY)
    return list(hub.told)


def test_a_wait_is_reported_when_two_looks_have_found_it() -> None:
    assert looks(UNWORKABLE) == []
    assert looks(UNWORKABLE, UNWORKABLE, UNWORKABLE) == ["unworkable"]
    assert looks(UNWORKABLE, None, UNWORKABLE, None) == []


def test_its_end_is_reported_and_another_wait() -> None:
    queued = WaitingFor("workers", ["direct_job.sketch"], 3)
    assert looks(UNWORKABLE, UNWORKABLE, None, None, None) == ["unworkable", None]
    assert looks(UNWORKABLE, UNWORKABLE, queued, queued) == ["unworkable", "workers"]


def test_it_is_repeated_for_those_who_follow_later() -> None:
    assert looks(*[UNWORKABLE] * round(2 * REPEAT_AFTER / CHECK_EVERY + 2)) == ["unworkable"] * 3


def test_a_job_that_has_ended_is_forgotten() -> None:
    hub: Any = Hub()
    reports = WaitReports(hub, lambda _: None)  # type: ignore[arg-type, return-value]
    for waits in ({JOB: UNWORKABLE}, {JOB: UNWORKABLE}, {}, {JOB: None}):
        reports.report(waits, 0.0)
    assert hub.told == ["unworkable"]
