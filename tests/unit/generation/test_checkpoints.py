"""What a step's next attempt must know is recorded once, in order, and outlasts failures."""

from uuid import UUID

import msgspec
import pytest

from services.generation.domain.generation import Generation, Start, TakeCheckpoint, TakeResult, decide, evolve
from services.generation.engine.result_message import MalformedResult, read_checkpoint
from services.generation.processes.dispatch_steps import work_message
from shared.contracts.generation import StepCheckpointed, StepError, StepScheduled
from shared.contracts.work import MAX_CHECKPOINT, Checkpoint, WorkResult
from tests.support.specification import Aggregate
from tests.unit.generation.builders import COLLECTION, GID, JOB, NOW, USER, asset, planned

BUSY = StepError("BUSY", "try later", retryable=True)
SID = planned(1).sid
TASK = {"task": "t-1"}


def begun(*steps):
    start = Start(GID, JOB, USER, COLLECTION, "hash", {}, list(steps), 1)
    return Aggregate(Generation(), evolve, decide).given().when(start)


def checkpoint(number=1, attempt=1, task="t-1", sid=SID):
    return TakeCheckpoint(sid, attempt, number, {"task": task})


def result(attempt=1, error=None):
    return TakeResult(SID, attempt, [] if error else [asset(1)], error, NOW, {}, {})


def newest(story):
    return story.state.checkpoint_of(SID)


def test_a_checkpoint_is_recorded():
    story = begun(planned(1)).when(checkpoint())
    assert story.events == [StepCheckpointed(GID, JOB, SID, 1, 1, 1, TASK)]
    assert (newest(story).number, newest(story).checkpoint) == (1, TASK)


def test_one_that_comes_again_or_late_changes_nothing():
    story = begun(planned(1)).when(checkpoint(2, task="second"))
    assert story.when(checkpoint(2, task="second")).events == []
    assert story.when(checkpoint(1)).events == []


def test_it_outlasts_a_failed_attempt_and_is_in_the_next_ones_message():
    story = begun(planned(1)).when(checkpoint()).when(result(error=BUSY))
    again = next(event for event in story.events if isinstance(event, StepScheduled))
    assert newest(story).checkpoint == TASK
    message = work_message(again, None, NOW, NOW - NOW, None, newest(story))
    assert (message.attempt, message.checkpoint, message.checkpoint_number) == (2, TASK, 1)


def test_that_of_an_attempt_which_has_failed_meanwhile_is_recorded():
    """The task that it names was started, and must not be started again."""
    story = begun(planned(1)).when(result(error=BUSY)).when(checkpoint())
    assert newest(story).checkpoint == TASK


@pytest.mark.parametrize("late", [checkpoint(sid=UUID(int=9)), checkpoint(attempt=2)], ids=["no step", "no attempt"])
def test_one_of_nothing_that_runs_changes_nothing(late):
    assert begun(planned(1)).when(late).events == []


def test_a_completed_step_keeps_the_number_only():
    """Run again, it starts what it does anew, and under another key."""
    story = begun(planned(1), planned(2)).when(checkpoint()).when(result())
    assert (newest(story).number, newest(story).checkpoint) == (1, None)


def test_a_completed_step_takes_none():
    assert begun(planned(1), planned(2)).when(result()).when(checkpoint()).events == []


def message(**members):
    return msgspec.json.encode(Checkpoint(JOB, GID, SID, 1, 1, members))


def test_a_message_is_told_from_a_result():
    assert read_checkpoint(message(task="t")) == Checkpoint(JOB, GID, SID, 1, 1, {"task": "t"})
    assert read_checkpoint(msgspec.json.encode(WorkResult(JOB, GID, SID, 1, "completed"))) is None


@pytest.mark.parametrize(
    "body",
    [b'{"message":"checkpoint"}', message(task="x" * MAX_CHECKPOINT), message(task="a\0b")],
    ids=["incomplete", "too large", "U+0000"],
)
def test_one_that_can_t_be_recorded_is_malformed(body):
    with pytest.raises(MalformedResult):
        read_checkpoint(body)
