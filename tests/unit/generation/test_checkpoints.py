"""What a step's next attempt must know is recorded once, in order, and outlasts failures."""

from uuid import UUID

import msgspec
import pytest

from services.generation.domain.generation import (
    CheckpointState,
    Generation,
    Start,
    TakeCheckpoint,
    TakeResult,
    decide,
    evolve,
)
from services.generation.engine.intake.result_message import MalformedResult, read_checkpoint
from services.generation.processes.dispatch_steps import work_message
from shared.contracts.generation import GenerationResumed, StepCheckpointed, StepError, StepScheduled
from shared.contracts.work import MAX_CHECKPOINT, Checkpoint, WorkResult
from tests.support.specification import Aggregate
from tests.unit.generation.builders import COLLECTION, GID, JOB, NOW, USER, asset, planned

BUSY = StepError("BUSY", "try later", retryable=True)
LATE = StepError("DEADLINE_EXCEEDED", "too late", retryable=False)
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


def resumed(story, resumed_from):
    """The generation fails for good, and its job is resumed."""
    command = Start(GID, JOB, USER, COLLECTION, "hash", {}, [], 1, round=1, keep=[], resumed_from=resumed_from)
    return story.when(result(error=LATE)).when(command)


def test_a_resume_goes_on_from_the_checkpoint_of_a_failed_step():
    """What the attempt has started may have ended well since."""
    story = resumed(begun(planned(1)).when(checkpoint()), "last_completed")
    assert (newest(story).number, newest(story).checkpoint, newest(story).discarded) == (1, TASK, 0)


@pytest.mark.parametrize("resumed_from", ["start", "1"])
def test_a_step_that_is_asked_for_again_has_no_checkpoint(resumed_from):
    """Its number grows, so that what it starts has another key, even if the first start's answer was lost."""
    story = resumed(begun(planned(1)).when(checkpoint()), resumed_from)
    assert (newest(story).number, newest(story).checkpoint, newest(story).discarded) == (2, None, 1)
    again = next(event for event in story.events if isinstance(event, StepScheduled))
    message = work_message(again, None, NOW, NOW - NOW, None, newest(story))
    assert (message.attempt, message.checkpoint, message.checkpoint_number, message.discarded) == (2, None, 2, 1)
    assert newest(resumed(begun(planned(1)), resumed_from)).number == 1


def test_steps_that_depend_on_it_are_renewed_and_others_are_not():
    story = begun(planned(1), planned(2, 1), planned(3)).when(checkpoint(), checkpoint(sid=planned(3).sid))
    story = story.when(TakeResult(planned(3).sid, 1, [], LATE, NOW, {}, {}))
    [event] = [event for event in resumed(story, "1").events if isinstance(event, GenerationResumed)]
    assert event.renewed == [1, 2]
    assert story.state.checkpoint_of(planned(3).sid).checkpoint == TASK


def test_a_late_checkpoint_of_before_the_resume_is_not_continued():
    """Its attempt was given up on; one of the new attempt is recorded, as ever."""
    story = resumed(begun(planned(1)), "start").when(checkpoint(7))
    assert story.events == []
    story = story.when(checkpoint(2, attempt=2, task="t-2"))
    assert newest(story) == CheckpointState(2, {"task": "t-2"}, 1)
