"""The NATS permissions of a worker cover what the kit uses. `test_nats_rights.py` tries them on a server."""

from uuid import UUID

import click
import pytest

from infra.cli.up import parse_workers
from infra.embedded.nats_users import NatsUser, worker_user
from shared.contracts.work import WORK_STREAM, Progress, WorkResult, cancel_subject, consumer_name, work_subject

KIND, OTHER = "direct_job.text", "direct_job.sketch"
USER = worker_user("text", "secret", (KIND,))
ID = UUID(int=1)


def is_allowed(patterns: tuple[str, ...], subject: str) -> bool:
    return any(matches(pattern.split("."), subject.split(".")) for pattern in patterns)


def matches(pattern: list[str], subject: list[str]) -> bool:
    if pattern[:1] == [">"]:
        return bool(subject)
    if not pattern or not subject:
        return not pattern and not subject
    return pattern[0] in ("*", subject[0]) and matches(pattern[1:], subject[1:])


def published(kind: str) -> list[str]:
    """The subjects that a worker of a kind publishes to."""
    consumer = consumer_name(kind)
    return [
        WorkResult(ID, ID, ID, 1, "completed").subject(kind),
        Progress(ID, ID, ID, 1, 0.5).subject(kind),
        f"$JS.API.CONSUMER.CREATE.{WORK_STREAM}.{consumer}.{work_subject(kind)}",
        f"$JS.API.CONSUMER.INFO.{WORK_STREAM}.{consumer}",
        f"$JS.API.CONSUMER.MSG.NEXT.{WORK_STREAM}.{consumer}",
        f"$JS.ACK.{WORK_STREAM}.{consumer}.1.2.3.4.5",
        f"$JS.ACK.hub.account.{WORK_STREAM}.{consumer}.1.2.3.4.5.token",
    ]


@pytest.mark.parametrize("subject", [*published(KIND), "workers.text-1"])
def test_it_may_do_its_work(subject: str) -> None:
    assert is_allowed(USER.publish, subject)


@pytest.mark.parametrize(
    "subject",
    [
        *published(OTHER),
        work_subject(KIND),
        cancel_subject(KIND),
        f"$JS.API.CONSUMER.CREATE.{WORK_STREAM}.{consumer_name(KIND)}",
        f"$JS.API.CONSUMER.CREATE.{WORK_STREAM}.{consumer_name(KIND)}.{work_subject(OTHER)}",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{WORK_STREAM}.{consumer_name(KIND)}",
        f"$JS.API.CONSUMER.DELETE.{WORK_STREAM}.{consumer_name(KIND)}",
        f"$JS.API.STREAM.INFO.{WORK_STREAM}",
        f"$JS.API.STREAM.MSG.GET.{WORK_STREAM}",
        f"$JS.API.STREAM.MSG.DELETE.{WORK_STREAM}",
        "events.generation.job.1.job_requested.v1",
        "_INBOX_generation.1",
        "$SYS.REQ.SERVER.PING",
    ],
)
def test_it_may_publish_nothing_else(subject: str) -> None:
    assert not is_allowed(USER.publish, subject)


def test_it_hears_answers_to_itself_and_requests_to_cancel_its_work() -> None:
    assert USER.subscribe == ("_INBOX_text.>", cancel_subject(KIND))


def test_workers_of_an_option_are_read() -> None:
    assert parse_workers(("text=direct_job.text,direct_job.poem", "api=fetch_api.http_api")) == {
        "text": ("direct_job.text", "direct_job.poem"),
        "api": ("fetch_api.http_api",),
    }


@pytest.mark.parametrize(
    "values",
    [
        ("text",),
        ("=direct_job.text",),
        ("text=",),
        ("text=text",),
        ("text=direct_job.>",),
        ("text=*.text",),
        ("te.xt=direct_job.text",),
        ("Text=direct_job.text",),
        ("text=direct_job.a,",),
        ("worker=direct_job.text",),
        ("generation=direct_job.text",),
        ("text=direct_job.text", "text=direct_job.poem"),
    ],
)
def test_other_values_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(click.BadParameter):
        parse_workers(values)


def test_the_default_user_may_do_everything() -> None:
    assert is_allowed(NatsUser("secret").publish, work_subject(KIND))
