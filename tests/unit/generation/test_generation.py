"""A generation: steps run when what they refer to is there, fail with retries, and end it in one decision."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.deciders import GENERATION
from services.generation.domain.generation import LOST, Generation, Start, TakeResult, decide, evolve, retry_delay
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    StepCompleted,
    StepError,
    StepFailed,
    StepOutputs,
    StepScheduled,
)
from shared.eventstore.decider import decode_state, encode_state
from tests.support.specification import Aggregate
from tests.unit.generation.builders import (
    COLLECTION,
    GID,
    JOB,
    NOW,
    USER,
    asset,
    data,
    pick,
    planned,
    step,
    text,
)

BROKEN = StepError("BROKEN", "it broke", retryable=False)
BUSY = StepError("BUSY", "try later", retryable=True)
DATA = data(
    step(1, prompt="{{style}}", seed=-1), step(2, "frame", image={"$ref": 1}), variables=[pick("style", "a", "b")]
)


def start(*steps):
    return Start(GID, JOB, USER, COLLECTION, "hash", {"style": "a"}, list(steps), 1_250_000)


def result(component_id, *outputs, attempt=1, error=None):
    sid = planned(component_id).sid
    step_outputs = list(outputs) if outputs or error else [asset(component_id)]
    return TakeResult(sid, attempt, step_outputs, error, NOW, DATA, {"style": "a"})


def begun(*steps):
    """A generation of these steps that has started."""
    return Aggregate(Generation(), evolve, decide).given().when(start(*steps))


def summary(specification):
    """The types of the last events, and their components."""
    return [(type(event), getattr(event, "component_id", None)) for event in specification.events]


def test_a_start_schedules_every_step_whose_references_are_ready():
    """In one decision with the start itself; the others wait."""
    story = begun(planned(1), planned(2, 1), planned(3))
    assert summary(story) == [(GenerationStarted, None), (StepScheduled, 1), (StepScheduled, 3)]
    assert story.events[1].attempt == 1
    assert story.events[1].hash == "hash"


def test_a_generation_starts_once():
    """The same start again changes nothing."""
    assert begun(planned(1)).when(start(planned(1))).events == []


def test_a_result_and_the_steps_that_it_makes_ready_are_one_decision():
    """The next payload has the output in the reference's place."""
    story = begun(planned(1), planned(2, 1, title="x")).when(result(1))
    assert summary(story) == [(StepCompleted, 1), (StepScheduled, 2)]
    assert story.events[1].payload == {"title": "x", "in1": asset(1).url}


def test_the_last_result_completes_the_generation():
    """With every step's outputs, and the input that makes this artwork again."""
    story = begun(planned(1, seed=77), planned(2, 1)).when(result(1), result(2, text("t")))
    assert summary(story)[-2:] == [(StepCompleted, 2), (GenerationCompleted, None)]
    completed = story.events[-1]
    assert completed.cost == 1_250_000
    assert completed.outputs == [StepOutputs(1, [asset(1)]), StepOutputs(2, [text("t")])]
    assert completed.gen_in_data == {
        "version": "v2",
        "steps": [step(1, prompt="{{style}}", seed=77), step(2, "frame", image={"$ref": 1})],
        "generations": {"generations": 1, "hashes": ["hash"], "use_custom_hashes": True},
        "variables": [pick("style", "a", "b") | {"value": {"display_names": ["A"], "values": ["a"], "weights": [1]}}],
    }


def test_a_step_waits_for_all_that_it_refers_to():
    """Two of two, in either order."""
    story = begun(planned(1), planned(2), planned(3, 1, 2)).when(result(2))
    assert summary(story) == [(StepCompleted, 2)]
    assert summary(story.when(result(1))) == [(StepCompleted, 1), (StepScheduled, 3)]


def test_what_may_pass_is_tried_again_later():
    """With the next attempt's number, and not before the backoff is over."""
    story = begun(planned(1)).when(result(1, error=BUSY))
    failed, scheduled = story.events
    assert isinstance(failed, StepFailed)
    assert (failed.error, failed.final) == (BUSY, False)
    assert scheduled.attempt == 2
    assert scheduled.not_before == (NOW + retry_delay(1, planned(1).sid)).isoformat()
    assert summary(story.when(result(1, attempt=2))) == [(StepCompleted, 1), (GenerationCompleted, None)]


def test_the_last_attempt_fails_the_generation():
    """Three attempts are made of a step that takes three."""
    story = begun(planned(1)).when(*(result(1, attempt=n, error=BUSY) for n in (1, 2)))
    story.when(result(1, attempt=3, error=BUSY))
    assert summary(story) == [(StepFailed, 1), (GenerationFailed, None)]
    assert story.events[0].final


def test_what_will_not_pass_is_not_tried_again():
    """The generation fails, with the error and what other steps had made."""
    story = begun(planned(1), planned(2, 1), planned(3, 2)).when(result(1), result(2, error=BROKEN))
    failed = story.events[-1]
    assert isinstance(failed, GenerationFailed)
    assert (failed.sid, failed.error) == (planned(2).sid, BROKEN)
    assert failed.outputs == [StepOutputs(1, [asset(1)])]


def test_a_lost_generation_ends_when_what_runs_has_answered():
    """Nothing new is scheduled or retried; what the other step makes is kept, so a resume need not run it again."""
    story = begun(planned(1), planned(2), planned(3, 2)).when(result(1, error=BROKEN))
    assert summary(story) == [(StepFailed, 1)]
    assert summary(story.when(result(2))) == [(StepCompleted, 2), (GenerationFailed, None)]
    assert story.events[-1].outputs == [StepOutputs(2, [asset(2)])]


def test_a_retryable_error_is_final_in_a_lost_generation():
    """There is nothing to try again for."""
    story = begun(planned(1), planned(2)).when(result(1, error=BROKEN), result(2, error=BUSY))
    assert summary(story) == [(StepFailed, 1), (StepFailed, 2), (GenerationFailed, None)]
    assert story.events[1].final
    assert story.events[2].error == BROKEN


def test_late_and_double_results_change_nothing():
    """Of an old attempt, of the same one again, of a step that isn't there, of a generation that ended."""
    story = begun(planned(1), planned(2, 1)).when(result(1, error=BUSY))
    assert story.when(result(1), result(1, error=BROKEN)).events == []
    story.when(result(1, attempt=2))
    assert story.when(result(1, attempt=2), result(1, attempt=3), result(9)).events == []
    story.when(result(2, error=BROKEN))
    assert story.when(result(2), result(1)).events == []


def test_a_lost_attempt_is_tried_again_and_its_late_result_ignored():
    """A lost worker is an error that may pass."""
    story = begun(planned(1)).when(result(1, error=LOST))
    assert summary(story) == [(StepFailed, 1), (StepScheduled, 1)]
    assert story.when(result(1)).events == []


@pytest.mark.parametrize(
    "output",
    [
        msgspec.structs.replace(asset(1), path="generations/somebody/else/a.png"),
        msgspec.structs.replace(asset(1), path=asset(2).path),
        msgspec.structs.replace(asset(1), path=asset(1).path.replace("a.png", "../x/a.png")),
        msgspec.structs.replace(asset(1), path=asset(1).path.replace("a.png", "")),
        msgspec.structs.replace(asset(1), path=None),
        msgspec.structs.replace(asset(1), url=None),
        msgspec.structs.replace(asset(1), asset_id=None),
        msgspec.structs.replace(text("x"), text=None),
    ],
)
def test_a_result_that_can_not_be_believed_fails_for_good(output):
    """A file lies below the step's own prefix, and a text has text."""
    story = begun(planned(1)).when(result(1, output))
    assert summary(story) == [(StepFailed, 1), (GenerationFailed, None)]
    assert story.events[0].error.code == "INVALID_RESULT"


def test_a_result_without_outputs_is_none():
    """Nothing could refer to it."""
    nothing = msgspec.structs.replace(result(1), outputs=[])
    assert summary(begun(planned(1)).when(nothing)) == [(StepFailed, 1), (GenerationFailed, None)]


def test_the_results_of_a_generation_fit_into_one_event():
    """What is too much together fails the step that brings it."""
    large = [text("x" * 99_000)] * 2
    story = begun(planned(1), planned(2)).when(result(1, *large))
    assert summary(story) == [(StepCompleted, 1)]
    assert summary(story.when(result(2, *large))) == [(StepFailed, 2), (GenerationFailed, None)]


def test_a_payload_that_other_steps_make_too_large_fails_its_step():
    """What they made is known only now; nothing that no message can carry is ever recorded."""
    story = begun(planned(1), planned(2), planned(3, 1, more=[{"$ref": 1}] * 12)).when(result(2))
    story.when(result(1, text("x" * 90_000)))
    assert summary(story) == [(StepCompleted, 1), (StepFailed, 3), (GenerationFailed, None)]
    error = story.events[-1].error
    assert (error.code, error.retryable) == ("PAYLOAD_TOO_LARGE", False)


def test_a_lost_generation_waits_for_the_steps_that_still_run():
    """Also when what failed never ran."""
    story = begun(planned(1), planned(2), planned(3, 1, more=[{"$ref": 1}] * 12))
    assert summary(story.when(result(1, text("x" * 90_000)))) == [(StepCompleted, 1), (StepFailed, 3)]
    assert summary(story.when(result(2))) == [(StepCompleted, 2), (GenerationFailed, None)]


def test_backoff_doubles_up_to_a_minute():
    """With up to a quarter more, by the step's own id."""
    sid = planned(1).sid
    waits = [retry_delay(attempt, sid) for attempt in range(1, 12)]
    assert waits[:3] == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)]
    assert max(waits) == timedelta(seconds=60)


GRAPHS = st.integers(1, 8).flatmap(
    lambda size: st.tuples(*(st.sets(st.integers(1, n), max_size=3) if n else st.just(set()) for n in range(size)))
)


@given(GRAPHS, st.randoms(use_true_random=False), st.data())
def test_every_graph_completes_in_any_order_of_results(graph, random, choose):
    """Whatever the graph, the order of results, their repetition and passing failures: each step is completed once."""
    steps = [planned(n + 1, *sorted(needs), max_attempts=10) for n, needs in enumerate(graph)]
    random.shuffle(steps)
    story = begun(*steps)
    waiting = [event for event in story.events if isinstance(event, StepScheduled)]
    completed, answers = [], []
    while waiting:
        scheduled = waiting.pop(random.randrange(len(waiting)))
        fails = scheduled.attempt < 3 and choose.draw(st.booleans())
        answer = result(scheduled.component_id, attempt=scheduled.attempt, error=BUSY if fails else None)
        answers.append(answer)
        story.when(answer)
        waiting.extend(event for event in story.events if isinstance(event, StepScheduled))
        completed.extend(event.component_id for event in story.events if isinstance(event, StepCompleted))
        ended = any(isinstance(event, GenerationCompleted) for event in story.events)
        assert ended == (len(completed) == len(steps))
        assert story.when(*answers).events == []
    assert sorted(completed) == sorted(item.component_id for item in steps)
    assert story.state.status == "completed"


def test_a_state_survives_being_stored():
    """Snapshots are the state as JSON."""
    state = begun(planned(1), planned(2, 1)).when(result(1)).state
    assert decode_state(GENERATION, encode_state(state)) == state
