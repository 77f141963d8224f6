"""A request becomes a job only when nothing is wrong with it, and its steps run as they were quoted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.payload.draws import draw, seed
from services.generation.domain.planning.job_plan import JobRequest, generation_count, plan_job
from services.generation.domain.planning.steps import StepOwner, plan_steps
from shared.contracts.generation_input import read
from shared.contracts.problem import Problem
from tests.unit.generation.builders import DEFINITIONS, GID, JOB, USER, data, pick, step

MADE = [f"made {n}" for n in range(10_000)]
MAIN = data(
    step(1, prompt="portrait, {{style}}", seed=-1),
    step(2, "frame", image={"$ref": 1}, title="{{style}}"),
    step(3, "caption", prompt="about {{$ref:1}}"),
    variables=[pick("style", "cyberpunk", "steampunk")],
    generations=4,
)


def plan(document, **request):
    return plan_job(read(document), DEFINITIONS, JobRequest(**request), JOB, MADE)


def steps(document, hash_="h", **chosen):
    generation_input = read(document)
    return plan_steps(
        generation_input, DEFINITIONS, draw(generation_input.variables, chosen, hash_), hash_, StepOwner(USER, JOB, GID)
    )


def refusal(document, **request):
    with pytest.raises(Problem) as refused:
        plan(document, **request)
    return refused.value.code, {detail.pointer: detail.message for detail in refused.value.details}


def test_a_job_is_quoted_exactly():
    """4 generations of 1 + 0.25 + 0.1 credits, in micro-credits."""
    planned = plan(MAIN)
    assert [generation.cost for generation in planned.generations] == [1_350_000] * 4
    assert planned.quoted == 5_400_000


def test_hashes_are_made_unless_they_are_given():
    """By the request, or by a collection that uses its own."""
    assert [generation.hash for generation in plan(MAIN).generations] == MADE[:4]
    assert [generation.hash for generation in plan(MAIN, hashes=["x", "y"]).generations] == ["x", "y"]
    own = MAIN | {"generations": {"generations": 2, "hashes": ["p", "q", "r"], "use_custom_hashes": True}}
    assert [generation.hash for generation in plan(own).generations] == ["p", "q"]
    assert [generation.hash for generation in plan(own, generations=3).generations] == ["p", "q", "r"]
    unused = MAIN | {"generations": {"generations": 1, "hashes": ["p"], "use_custom_hashes": False}}
    assert [generation.hash for generation in plan(unused).generations] == MADE[:1]


def test_generation_ids_follow_from_the_job():
    """So that a repeated request plans the very same job; no two are equal."""
    first, again = plan(MAIN, generations=50), plan(MAIN, generations=50)
    assert first == again
    assert len({generation.gid for generation in first.generations}) == 50


def test_ten_thousand_generations_are_planned():
    """The largest job that there is."""
    assert plan(MAIN, generations=10_000).quoted == 13_500_000_000


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        ({"generations": 0}, "/generations"),
        ({"generations": 10_001}, "/generations"),
        ({"max_queue_seconds": 0.5}, "/max_queue_seconds"),
        ({"max_queue_seconds": 61, "longest_queue": 60}, "/max_queue_seconds"),
        ({"hashes": []}, "/hashes"),
        ({"hashes": ["a", ""]}, "/hashes/1"),
        ({"hashes": ["a"], "generations": 2}, "/hashes"),
        ({"variables": {"style": "oil"}}, "/variables/style"),
    ],
)
def test_a_wrong_request_is_refused_at_its_pointer(request_, pointer):
    """Pointers are into the request's own body."""
    code, faults = refusal(MAIN, **request_)
    assert (code, list(faults)) == ("VALIDATION_FAILED", [pointer])


def test_too_few_custom_hashes_are_refused():
    """One per generation, and no other is made in their place."""
    own = MAIN | {"generations": {"generations": 3, "hashes": ["p"], "use_custom_hashes": True}}
    assert refusal(own)[1] == {"/generations": "the collection has 1 custom hashes, too few for 3 generations"}


def test_a_collection_without_steps_has_nothing_to_generate():
    """The default collection is such a one."""
    assert list(refusal(data())[1]) == ["/data/steps"]


def test_an_unknown_workflow_is_named_by_the_steps_that_want_it():
    """The code is its own, since the answer is a 404."""
    code, faults = refusal(data(step(1, prompt="x"), step(2, "upscale")))
    assert (code, list(faults)) == ("WORKFLOW_NOT_FOUND", ["/data/steps/1/nodeName"])


@pytest.mark.parametrize(
    ("payload", "field", "says"),
    [
        ({}, "prompt", "required"),
        ({"prompt": ""}, "prompt", "required"),
        ({"prompt": 7}, "prompt", "text"),
        ({"prompt": "x", "palette": "beige"}, "palette", "takes one of auto"),
        ({"prompt": "x", "width": 63}, "width", "at least 64"),
        ({"prompt": "x", "height": 2049}, "height", "at most 2048"),
        ({"prompt": "x", "width": 100.5}, "width", "steps of 1"),
        ({"prompt": "x", "width": "wide"}, "width", "number"),
        ({"prompt": "x", "width": True}, "width", "number"),
        ({"prompt": "x", "width": "{{n}}"}, "width", "with n = 5000: takes a number of at most 2048"),
        ({"prompt": "x", "width": "{{n}}0"}, "width", "takes a number, not '5120'"),
        ({"prompt": "x", "width": "{{$ref:2}}px"}, "width", "text"),
        ({"prompt": "x", "palette": "{{p}}"}, "palette", "with p = 'beige'"),
        ({"prompt": "x", "seed": -2}, "seed", "at least 0"),
        ({"prompt": "x", "seed": "one"}, "seed", "number"),
    ],
)
def test_a_payload_is_checked_against_its_form(payload, field, says):
    """Also for every value that a variable in it can take, before anything is drawn."""
    variables = [pick("n", 512, 5000, value_type="numbers"), pick("p", "neon", "beige")]
    code, faults = refusal(data(step(1, **payload), step(2, prompt="x"), variables=variables))
    assert code == "VALIDATION_FAILED"
    assert says in faults[f"/data/steps/0/nodePayload/{field}"]


def test_a_value_that_can_never_be_drawn_does_no_harm():
    """Chosen by the request, or without weight, it is not looked at."""
    document = data(
        step(1, prompt="x", width="{{n}}"), variables=[pick("n", 512, 5000, value_type="numbers", weights=[1, 0])]
    )
    assert plan(document).quoted == 1_000_000
    free = data(step(1, prompt="x", width="{{n}}"), variables=[pick("n", 512, 5000, value_type="numbers")])
    assert plan(free, variables={"n": 512}).quoted == 1_000_000


def test_an_image_is_a_url_or_a_reference():
    """A frame without an image can't be made."""
    assert list(refusal(data(step(1, "frame", title="x")))[1]) == ["/data/steps/0/nodePayload/image"]
    assert list(refusal(data(step(1, "frame", image=[1])))[1]) == ["/data/steps/0/nodePayload/image"]
    assert plan(data(step(1, "frame", image="https://example.com/a.png"))).quoted == 250_000


def test_steps_are_planned_with_variables_drawn_and_references_open():
    """Defaults are filled in, a seed that is wanted is drawn from hash and step."""
    first, second, third = steps(MAIN, "h", style="steampunk")
    assert first.payload == {
        "prompt": "portrait, steampunk",
        "palette": "auto",
        "width": 1024,
        "height": 1024,
        "seed": seed("h", 1),
    }
    assert (first.service_required, first.workflow_type, first.needs) == ("sketch", "direct_job", [])
    assert (second.payload, second.needs) == ({"image": {"$ref": 1}, "title": "steampunk"}, [1])
    assert third.payload == {"prompt": {"$text": ["about ", {"$ref": 1}]}, "seed": seed("h", 3)}


def test_a_seed_that_is_given_stays():
    """Zero is a seed; one that a variable draws as -1 is not."""
    [zero] = steps(data(step(1, prompt="x", seed=0)))
    assert zero.payload["seed"] == 0
    variable = pick("s", -1, value_type="numbers")
    [planned_step] = steps(data(step(1, prompt="x", seed="{{s}}"), variables=[variable]), "h")
    assert planned_step.payload["seed"] == seed("h", 1)


@given(st.text(min_size=1, max_size=40))
def test_the_same_hash_plans_the_same_artwork(hash_):
    """Another hash may draw other values, the same one never does."""
    assert steps(MAIN, hash_) == steps(MAIN, hash_)


def named(times, size):
    """A text of `size` characters, named so often in a field that takes any text."""
    title = {"name": "t", "type": "text", "value": "x" * size}
    return data(step(1, prompt="x"), step(2, "frame", image={"src": "{{t}}" * times}), variables=[title])


def test_a_payload_that_would_grow_too_large_is_refused():
    """In bytes: a long value that is named often."""
    _, faults = refusal(named(300, 5_000))
    assert list(faults) == ["/data/steps"]
    assert "at most 983040" in faults["/data/steps"]
    assert plan(named(100, 5_000)).quoted


def test_numbers_count_as_their_digits():
    """A number of 308 digits in a row of references to it is no less than a text of 308 characters."""
    number = {"name": "t", "type": "number", "value": 10**307}
    document = data(step(1, prompt="x"), step(2, "frame", image={"src": "{{t}}" * 3500}), variables=[number])
    _, faults = refusal(document)
    assert list(faults) == ["/data/steps"]


def test_what_is_chosen_is_bounded():
    """It stands in the job's request, and in what makes each artwork again."""
    free = data(step(1, prompt="x"), variables=[{"name": "t", "type": "text"}])
    _, faults = refusal(free, variables={"t": "x" * 300_000})
    assert list(faults) == ["/variables"]
    assert plan(free, variables={"t": "x" * 30_000}).quoted


def test_many_generations_of_a_large_collection_are_several_jobs():
    """An unused variable is drawn for each, too: the answer says how many a job can have."""
    large = data(step(1, prompt="x"), variables=[{"name": "t", "type": "text", "value": "x" * 300_000}])
    _, faults = refusal(large, generations=10_000)
    assert list(faults) == ["/generations"]
    most = int(faults["/generations"].rpartition(" ")[2])
    assert plan(large, generations=most).quoted
    assert list(refusal(large, generations=most + 1)[1]) == ["/generations"]


def test_a_prompt_is_as_long_as_its_worker_takes():
    """The form says so to both. Each variable counts with its longest value."""
    style = pick("style", "x", "y" * 1000, "z" * 5000, weights=[1, 1, 0])
    assert plan(data(step(1, prompt="{{style}}" * 4), variables=[style])).quoted
    _, faults = refusal(data(step(1, prompt="{{style}}" * 4 + "."), variables=[style]))
    message = "has up to 4001 characters with its variables drawn; at most 4000 are allowed"
    assert faults == {"/data/steps/0/nodePayload/prompt": message}
    rich = {"type": "doc", "content": [{"type": "p", "content": [{"text": "x" * 4001}]}]}
    assert list(refusal(data(step(1, prompt=rich)))[1]) == ["/data/steps/0/nodePayload/prompt"]
    _, faults = refusal(data(step(1, "caption", prompt="x" * 100_000)))
    assert list(faults) == ["/data/steps/0/nodePayload/prompt"]


def test_without_a_count_the_hashes_or_the_collection_say_how_many():
    """In this order."""
    generation_input = read(MAIN)
    requests = [JobRequest(generations=7), JobRequest(hashes=["a"]), JobRequest()]
    assert [generation_count(generation_input, request) for request in requests] == [7, 1, 4]
