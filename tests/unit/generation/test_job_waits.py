"""What a job waits for, of which nothing is in progress."""

import typing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.generation.queries.job_waits import KindOfSteps, sentence, waiting_for
from services.generation.views.job import Reason, WaitingFor

LATER = datetime(2026, 11, 27, tzinfo=UTC)
HOUR = timedelta(hours=1)
EARLY = LATER - HOUR


def steps(kind: str, count: int = 2, *, working: int = 0, delayed: int = 0, ahead: int = 0, paused: Any = ()) -> Any:
    return KindOfSteps(kind, count, working, delayed, LATER if delayed else None, ahead, paused)


def stripped(wait: WaitingFor | None) -> WaitingFor | None:
    """Without the sentence."""
    return wait and msgspec.structs.replace(wait, message="")


@pytest.mark.parametrize(
    ("status", "kinds", "offered", "expected"),
    [
        ("pending", [], frozenset(), WaitingFor("credits")),
        ("completed", [], frozenset(), None),
        ("processing", [], frozenset(), WaitingFor("turn")),
        ("processing", [steps("a", working=1), steps("b")], frozenset(), None),
        ("processing", [steps("a"), steps("b")], frozenset(), WaitingFor("unworkable", ["a", "b"])),
        ("processing", [steps("a")], None, WaitingFor("workers", ["a"], 0)),
        ("processing", [steps("a", ahead=7), steps("b")], frozenset("a"), WaitingFor("workers", ["a"], 7)),
        ("processing", [steps("a", delayed=2)], frozenset("a"), WaitingFor("retry", until=LATER)),
        ("processing", [steps("a", delayed=1, ahead=3)], frozenset("a"), WaitingFor("workers", ["a"], 3)),
        ("processing", [steps("a", paused=["w"])], frozenset("a"), WaitingFor("paused", workflows=["w"])),
        ("processing", [steps("a", paused=["w"])], frozenset(), WaitingFor("paused", workflows=["w"])),
        ("processing", [steps("a", paused=["w"]), steps("b")], frozenset("ab"), WaitingFor("workers", ["b"], 0)),
        ("processing", [steps("a", paused=["w"]), steps("b")], frozenset("a"), WaitingFor("unworkable", ["b"])),
        ("processing", [steps("a", working=1, paused=["w"])], frozenset("a"), None),
    ],
)
def test_what_it_waits_for(status: str, kinds: Any, offered: Any, expected: WaitingFor | None) -> None:
    assert stripped(waiting_for(status, kinds, offered)) == expected


def test_a_paused_job_waits_for_its_operator() -> None:
    """Also where nothing of it has started; what a worker has of it goes on."""
    for kinds in ([], [steps("a")]):
        assert stripped(waiting_for("processing", kinds, frozenset("a"), is_paused=True)) == WaitingFor("paused")
    assert waiting_for("processing", [steps("a", working=1)], frozenset("a"), is_paused=True) is None
    assert stripped(waiting_for("pending", [], frozenset(), is_paused=True)) == WaitingFor("credits")


@pytest.mark.parametrize(
    ("left", "since"), [({}, EARLY), ({"a": LATER}, LATER), ({"a": EARLY - HOUR}, EARLY), ({"b": LATER}, EARLY)]
)
def test_it_is_unworkable_since_its_steps_were_ready_and_their_last_worker_left(left: Any, since: datetime) -> None:
    kind = KindOfSteps("a", 1, 0, 0, None, 0, since=EARLY)
    wait = waiting_for("processing", [kind], frozenset(), left=left)
    assert wait is not None
    assert (wait.reason, wait.services, wait.since) == ("unworkable", ["a"], since)
    assert wait.message == "No connected worker does a: it goes on when one connects"


def test_each_reason_has_a_sentence() -> None:
    for reason in typing.get_args(Reason):
        assert len(sentence(WaitingFor(reason, services=["a"], until=LATER))) > 10
