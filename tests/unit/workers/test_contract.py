"""The subjects and names of the worker protocol: what other releases and other people's workers rely on."""

from uuid import UUID

import msgspec
import pytest

from shared.contracts.work import (
    Announcement,
    CancelRequest,
    OfferedService,
    Progress,
    WorkResult,
    cancel_subject,
    consumer_name,
    kind_of,
    work_subject,
)

JOB, GID, SID = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.mark.parametrize(
    ("kind", "subject", "cancel", "consumer"),
    [
        ("direct_job.sketch", "work.direct_job.sketch", "cancel.direct_job.sketch", "worker-sketch"),
        (
            "comfy_workflow.comfy",
            "work.comfy_workflow.comfy",
            "cancel.comfy_workflow.comfy",
            "worker_comfy_workflow_comfy",
        ),
    ],
)
def test_subjects_and_consumers_of_a_kind(kind: str, subject: str, cancel: str, consumer: str) -> None:
    assert (work_subject(kind), cancel_subject(kind), consumer_name(kind)) == (subject, cancel, consumer)
    assert kind_of(subject) == kind


def test_a_worker_publishes_below_its_own_kind() -> None:
    assert WorkResult(JOB, GID, SID, 1, "completed").subject("direct_job.x") == f"results.{JOB}.{GID}.direct_job.x"
    assert Progress(JOB, GID, SID, 1, 0.5).subject("direct_job.x") == f"progress.{JOB}.{GID}.{SID}.direct_job.x"


def test_a_request_to_cancel_needs_a_job_only() -> None:
    assert msgspec.json.decode(b'{"job_id": "%s"}' % str(JOB).encode(), type=CancelRequest) == CancelRequest(JOB)


def test_an_announcement_goes_to_its_instance() -> None:
    announcement = Announcement("text-1", "text", "1.0", [OfferedService("direct_job", "text", 2)], [], "2026-11-27")
    assert announcement.subject == "workers.text-1"
