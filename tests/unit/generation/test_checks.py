"""All faults of a request are reported at once, each with its pointer, before anything is charged."""

from decimal import Decimal

import msgspec
import pytest

from services.generation.cost_function import cost_functions
from services.generation.domain.generation.reproduction import reproduction
from services.generation.domain.planning.costs import bounded
from services.generation.domain.planning.dry_run_token import read_token, write_token
from services.generation.domain.planning.job_plan import JobRequest, plan_job
from services.generation.domain.planning.steps import StepOwner, plan_steps
from services.generation.domain.workflow import read_definition
from services.generation.domain.workflow.template import Model
from services.generation.domain.workflow.trial import values_to_try
from shared.contracts.generation import GenerationStarted, StepQuote
from shared.contracts.generation_input import read
from shared.contracts.problem import Problem
from shared.contracts.workflow_forms import RequiredField, required_fields
from tests.unit.generation.builders import COLLECTION, DEFINITIONS, GID, JOB, USER, data, pick, step
from tests.unit.generation.test_workflow_types import folder

NAMES = ("banner", "colour-field", "image-service", "landscape", "negative", "size-label", "write-text")
LIBRARY = {name: read_definition(name, 1, folder(name), cost_functions) for name in NAMES}
OWNER = StepOwner(USER, JOB, GID)


def plan(document, definitions=LIBRARY, available=None, **request):
    return plan_job(read(document), {**DEFINITIONS, **definitions}, JobRequest(**request), JOB, ["h"] * 100, available)


def refusal(document, definitions=LIBRARY, available=None, **request):
    with pytest.raises(Problem) as refused:
        plan(document, definitions, available, **request)
    return refused.value.code, {detail.pointer: detail.message for detail in refused.value.details}


@pytest.mark.parametrize("name", LIBRARY)
def test_other_services_know_the_same_required_fields(name: str):
    required = [field.id for field in LIBRARY[name].fields if field.must_be_set]
    assert [field.id for field in required_fields(folder(name))] == required


def test_required_fields_are_read_from_each_form_of_a_definition():
    main = [{"id": "a", "is_required": True}, {"id": "b", "required": True, "defualt": 1}]
    assert required_fields({"form": {"config": {}, "main": main}}) == [RequiredField("a")]
    types = {"x": {"required": True, "label": "X"}, "y": {"required": True, "default": 0}}
    assert required_fields({"dynamic": {"variable_types": types}}) == [RequiredField("x", "X")]


@pytest.mark.parametrize(
    "definition",
    [{}, {"form": []}, {"form": {"fields": 5}}, {"form": {"fields": [{"id": 5}]}}, {"dynamic": {"variable_types": 5}}],
)
def test_a_form_that_can_not_be_read_requires_nothing(definition):
    assert required_fields(definition) == []


def test_all_faults_are_told_at_once():
    """Of the request, of its variables, of each step's payload, and of workflows that do not exist."""
    document = data(
        step(1, "banner", width=1000, colour="green"),
        step(2, "nobody knows"),
        step(3, "sketch"),
        variables=[pick("style", "ink")],
    )
    code, faults = refusal(document, generations=0, variables={"colour": 1, "style": "oil"})
    assert code == "WORKFLOW_NOT_FOUND"
    assert set(faults) == {
        "/generations",
        "/variables/colour",
        "/variables/style",
        "/data/steps/0/nodePayload/title",
        "/data/steps/0/nodePayload/width",
        "/data/steps/0/nodePayload/colour",
        "/data/steps/1/nodeName",
        "/data/steps/2/nodePayload/prompt",
    }


def test_an_option_of_a_shared_list_is_checked():
    """Whose file a field names as its `conf_file`."""
    [fault] = refusal(data(step(1, "landscape", prompt="x", checkpoint="no-such.safetensors")))[1].items()
    assert fault[0] == "/data/steps/0/nodePayload/checkpoint"
    assert "landscape-v2.safetensors" in fault[1]


def test_an_image_takes_no_text_of_another_step():
    """Whether the reference is an object or a token; an image of another step is taken."""
    text, image = step(1, "write-text", prompt="x"), step(2, "sketch", prompt="x")
    for reference in ({"$ref": 1}, "{{$ref:1}}"):
        code, faults = refusal(data(text, image, step(3, "negative", image=reference)))
        assert code == "VALIDATION_FAILED"
        assert [message.partition("; ")[2] for message in faults.values()] == ["step 1 makes text"]
    assert plan(data(image, step(3, "negative", image={"$ref": 2})))


def test_a_workflow_bounds_how_many_generations_a_job_has():
    assert len(plan(data(step(1, "colour-field")), generations=6).generations) == 6
    assert refusal(data(step(1, "colour-field")), generations=7)[1].keys() == {"/generations"}


def test_an_input_that_the_graph_links_to_nothing_is_told():
    """If an output depends on it; a value of the step links it."""
    graph = {
        "1": {"class_type": "ImageInvert", "inputs": {"image": ["0", 0]}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "ImageScale", "inputs": {"image": ["0", 0]}},
    }
    form = {"fields": [{"id": "image", "type": "image_loader"}]}
    inputs = {"1": {"image": {"value": "image"}}}
    document = {"workflow": graph, "form": form, "inputs": inputs, "cost": {"expression": "1"}}
    definitions = {"open": read_definition("open", 1, document, cost_functions)}
    [fault] = refusal(data(step(1, "open")), definitions)[1].items()
    assert fault[0] == "/data/steps/0/nodeName"
    assert "input 'image' of node 1 is linked to node 0" in fault[1]
    assert plan(data(step(1, "open", image="https://x.test/a.png")), definitions)


def test_an_input_that_the_workflow_requires_must_be_set():
    document = {
        "job": {"service_required": "a"},
        "form": {"fields": [{"id": "x", "type": "input"}]},
        "inputs": [{"id": "x", "pathJq": ".x", "is_required": True}],
        "cost": {"expression": "1"},
    }
    definitions = {"strict": read_definition("strict", 1, document, cost_functions)}
    assert refusal(data(step(1, "strict")), definitions)[1].keys() == {"/data/steps/0/nodePayload/x"}


@pytest.mark.parametrize("source", ["throw new Error('no')", "return {cost: NaN}", "return {cost: -1}", "return {}"])
def test_a_cost_that_can_not_be_told_is_a_fault_of_the_quote(source):
    document = {
        "job": {"service_required": "a"},
        "form": {"fields": []},
        "credits": f"function computeCost(context) {{ if (context.x) {{ {source} }} return {{cost: 1}} }}",
    }
    definitions = {"odd": read_definition("odd", 1, document, cost_functions)}
    code, faults = refusal(data(step(1, "odd", x=1), step(2, "odd", x=2)), definitions)
    assert code == "VALIDATION_FAILED"
    assert faults.keys() == {"/data/steps/0/nodePayload", "/data/steps/1/nodePayload"}


def test_a_quote_says_what_makes_it_up():
    """With the details of the cost functions, and generations that cost the same together."""
    variables = [pick("n", 1, 3)]
    variables[0]["value_type"] = "numbers"
    planned = plan(
        data(step(1, "image-service", prompt="x", quantity="{{n}}"), variables=variables), hashes=list("abcdefgh")
    )
    assert {(quote.cost // quote.generations, quote.details["images"]) for quote in planned.breakdown} == {
        (500_000, 1),
        (1_500_000, 3),
    }
    assert sum(quote.cost for quote in planned.breakdown) == planned.quoted
    assert sum(quote.generations for quote in planned.breakdown) == 8


def test_a_breakdown_is_bounded_and_stays_exact():
    """Beyond the bound, each step has one entry, without details."""
    quotes = [StepQuote(step=n % 3, generations=1, cost=n, details={"why": "x" * 100}) for n in range(300)]
    breakdown = bounded(quotes, 4096)
    assert len(breakdown) < 45
    assert len(msgspec.json.encode(breakdown)) < 4096 + 3 * 100
    for step_id in range(3):
        own = [quote for quote in breakdown if quote.step == step_id]
        assert sum(quote.cost for quote in own) == sum(quote.cost for quote in quotes if quote.step == step_id)
        assert sum(quote.generations for quote in own) == 100
    assert bounded(quotes[:3], 4096) == quotes[:3]


def test_a_cost_is_rounded_up_to_a_micro_credit():
    source = "function computeCost() { return {cost: 1 / 3} }"
    document = {"job": {"service_required": "a"}, "form": {"fields": []}, "credits": source}
    definitions = {"third": read_definition("third", 1, document, cost_functions)}
    assert plan(data(step(1, "third")), definitions).quoted == 333_334 == int(Decimal("0.333334") * 10**6)


def test_a_model_that_no_worker_has_is_told_before_anything_is_charged():
    """Models that the graph downloads are not needed at workers; while their models are unknown, nothing is refused."""
    document = data(step(1, "landscape", prompt="x"))
    assert plan(document)
    assert plan(document, available=frozenset({Model("vae", "ae.safetensors")}))
    code, faults = refusal(document, available=frozenset())
    assert (code, list(faults)) == ("MODEL_UNAVAILABLE", ["/data/steps/0/nodeName"])
    assert "vae/ae.safetensors" in faults["/data/steps/0/nodeName"]


def test_a_drawn_seed_is_kept_wherever_its_template_has_it():
    """In a graph's node, in a request's body, or at the top."""
    steps = [
        step(1, "landscape", prompt="x"),
        step(2, "image-service", prompt="x", seed=-1),
        step(3, "caption", prompt="x"),
    ]
    document = data(*steps)
    generation_input = read(document)
    planned = plan_steps(generation_input, {**DEFINITIONS, **LIBRARY}, {}, "h", OWNER)
    graph, request = planned[0].payload["graph"], planned[1].payload["request"]
    started = GenerationStarted(GID, JOB, USER, COLLECTION, "h", {}, planned, 1)
    payloads = {item["id"]: item["nodePayload"] for item in reproduction(document, {}, started)["steps"]}
    assert payloads[1]["seed"] == graph["5"]["inputs"]["seed"]
    assert payloads[2]["seed"] == request["body"]["steps"][0]["input"]["seed"]
    assert payloads[3]["seed"] == planned[2].payload["seed"]


def test_a_template_with_another_value_on_the_way_is_planned():
    """It is replaced by the object that the path needs."""
    document = {
        "job": {"service_required": "a", "payload": {"options": "none"}},
        "form": {"fields": [{"id": "size", "type": "input"}]},
        "inputs": [{"id": "size", "pathJq": ".payload.options.size"}],
        "cost": {"expression": "1"},
    }
    definitions = {"odd": read_definition("odd", 1, document, cost_functions)}
    [planned] = plan_steps(read(data(step(1, "odd", size=5))), definitions, {}, "h", OWNER)
    assert planned.payload == {"options": {"size": 5}}


def test_test_values_are_those_of_the_file_with_numbers_as_numbers():
    values = values_to_try(LIBRARY["colour-field"], folder("colour-field"))
    assert (values["width"], values["height"]) == (32, 32)


def test_a_token_of_a_dry_run_is_read_as_it_was_written():
    assert read_token(write_token(JOB, b"d" * 16)).seed == JOB
    read_token(write_token(JOB, b"d" * 16)).check(b"d" * 16)
    with pytest.raises(Problem) as refused:
        read_token(write_token(JOB, b"d" * 16)).check(b"e" * 16)
    assert refused.value.code == "CONFLICT"
    for text in ("", "x", "ä", "!" * 44):
        with pytest.raises(Problem):
            read_token(text)
