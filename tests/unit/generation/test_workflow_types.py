"""What the files of a workflow become: the component library's spellings are read, anything else is a fault."""

import json
from pathlib import Path

import pytest

from services.generation.domain.payload.substitution import needs, resolve
from services.generation.domain.workflow.folder import definition_of, is_workflow_folder
from services.generation.domain.workflow.form_file import form_faults, max_generations, read_fields
from services.generation.domain.workflow.paths import BadPath, parse_path, set_at
from services.generation.domain.workflow.template import Model, build
from services.generation.domain.workflow.types import read_template, type_of
from services.generation.domain.workflow.types.dynamic_json import form_of
from shared.contracts.problem import Problem
from shared.contracts.workflow_forms import fields_of
from tests.unit.generation.builders import text

LIBRARY = Path(__file__).parents[2] / "fixtures" / "component_library"
RESERVED = {"prefix": "generations/u/j/g/s/", "filename": "s.png", "bucket": "emprops"}


def shared_lists():
    return {path.name: json.loads(path.read_text()) for path in (LIBRARY / "_form_confs").iterdir()}


def folder(name):
    files = {path.name: path.read_bytes() for path in (LIBRARY / name).iterdir() if path.is_file()}
    return definition_of(name, files, shared_lists())


def template(name):
    definition = folder(name)
    form = form_of(definition) if "dynamic" in definition else definition["form"]
    return read_template(type_of(definition), definition, frozenset(field["id"] for _, field in fields_of(form)))


def work(name, payload):
    return build(template(name), payload, RESERVED)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (".payload.prompt", ("payload", "prompt")),
        ("payload", ("payload",)),
        ("service_required", ("service_required",)),
        (".payload.tools.[0].size", ("payload", "tools", 0, "size")),
        (".payload.images[0]", ("payload", "images", 0)),
        (".steps[0].input.model", ("steps", 0, "input", "model")),
        ("steps.[0].input", ("steps", 0, "input")),
        ('.headers["X-Key"]', ("headers", "X-Key")),
        (".a-b.$type", ("a-b", "$type")),
    ],
)
def test_every_spelling_of_a_path_is_read(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "[0]", ".a..b", ".a[b]", ".a[-1]", ".a[100]", ".a b", ".a[", "a." * 40 + "b"]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(BadPath):
        parse_path(text)


def test_missing_objects_and_arrays_on_the_way_are_made():
    document = {"a": {"text": "kept"}, "b": "replaced"}
    set_at(document, ("a", "list", 2, "x"), 1)
    set_at(document, ("b", "c"), 2)
    assert document == {"a": {"text": "kept", "list": [None, None, {"x": 1}]}, "b": {"c": 2}}


def test_a_graph_gets_its_values_and_those_that_the_system_supplies():
    graph = work("colour-field", {"width": 128, "colour": 0}).payload["graph"]
    assert graph["1"]["inputs"] == {"width": 128, "height": 64, "batch_size": 1, "color": 0}
    assert graph["9"]["inputs"] | RESERVED == graph["9"]["inputs"]


def test_building_changes_no_template():
    first = template("colour-field")
    build(first, {"width": 999}, RESERVED)
    assert build(first, {}, RESERVED) == build(template("colour-field"), {}, RESERVED)


def test_an_input_that_leads_nowhere_is_told_and_its_default_is_used():
    notes = template("negative").notes
    assert len(notes) == 1
    assert "names 'cfg', which is no field of the form: its default is used" in notes[0]
    assert work("negative", {}).payload["graph"]["4"]["inputs"]["cfg"] == 7
    assert "node 28:0, which the graph does not have" in template("colour-field").notes[0]


def test_a_graph_in_a_file_with_the_folders_name_is_found():
    assert work("old-postcard", {"margin": 8}).payload["graph"]["3"]["inputs"]["left"] == 8


def test_models_are_those_of_loaders_downloads_and_required_models():
    assert template("landscape").models == [
        Model("checkpoints", "landscape-v2.safetensors"),
        Model("vae", "ae.safetensors"),
    ]
    assert template("colour-field").models == []


@pytest.mark.parametrize(
    ("name", "produces"), [("colour-field", "image"), ("size-label", "text"), ("write-text", "text"), ("echo", "any")]
)
def test_what_a_workflow_makes(name, produces):
    assert template(name).produces == produces


def test_a_graph_of_the_editor_is_refused_with_the_name_of_the_right_format():
    with pytest.raises(Problem) as refused:
        template("drawn-in-the-editor")
    assert "API format" in refused.value.details[0].message


def test_a_request_is_complete_but_for_its_secrets():
    payload = work("image-service", {"prompt": "a hill", "quantity": 3}).payload
    assert payload["request"]["headers"]["Authorization"] == "Bearer {{IMAGE_SERVICE_KEY}}"
    body = payload["request"]["body"]["steps"][0]["input"]
    assert (body["prompt"], body["quantity"], body["model"]) == ("a hill", 3, "example:1")
    assert (payload["success"], payload["fetch"], payload["wait"]["outputExprJq"]) == (
        [200, 202],
        "wait",
        ".steps[].output.images[].url",
    )


def test_polling_keeps_its_expressions():
    polling = work("video-service", {}).payload["polling"]
    assert polling["params"] == {"id": {"exprJq": ".id"}}
    assert (polling["successResponseCode"], polling["timeout"]) == ([200], 10000)


def test_a_job_may_choose_its_service_and_keys_that_it_lacks_belong_into_its_payload():
    built = work("write-text", {"prompt": "hi", "service": "text-large", "delay_ms": 5, "image": "https://x/a.png"})
    assert built.service == "text-large"
    assert built.payload == {
        "model": "small",
        "tools": [{"type": "search", "size": "short"}],
        "prompt": "hi",
        "delay_ms": 5,
        "images": ["https://x/a.png"],
    }


def test_a_field_may_be_the_whole_payload():
    assert work("echo", {"document": {"a": 1}}).payload == {"a": 1}
    assert work("echo", {"document": "text"}).payload == {"value": "text"}
    assert work("echo", {}).payload == {}


def test_a_dynamic_template_takes_values_and_open_references():
    payload = {"title": {"$ref": 7}, "artist": {"$text": ["the ", {"$ref": 8}]}, "year": 2026, "width": 64}
    assert work("banner", payload).payload == {
        "title": {"$ref": 7},
        "subtitle": {"$text": ["by the ", {"$ref": 8}, " in 2026"]},
        "colour": None,
        "size": {"width": 64, "height": 32},
    }


def test_a_value_in_a_dynamic_template_is_not_searched_for_tokens():
    assert work("banner", {"title": "{{artist}}", "artist": "x"}).payload["title"] == "{{artist}}"


def test_a_dynamic_form_is_made_of_its_variables():
    fields = {field["id"]: field for field in form_of(folder("banner"))["fields"]}
    assert fields["width"]["constraints"] == {"min": 16, "max": 512, "step": 1}
    assert (fields["title"]["type"], fields["title"]["required"]) == ("prompt_editor", True)
    assert fields["colour"]["options"] == ["red", "blue"]


def test_forms_are_read_in_both_shapes_with_what_is_missing_or_misspelt():
    fields = {field["id"]: field for field in read_fields(folder("negative")["form"], shared_lists())}
    assert fields["method"]["default"] == "area"
    assert [option["value"] for option in fields["method"]["options"]] == ["nearest-exact", "bilinear", "area"]
    assert fields["factor"]["constraints"] == {"max": 2, "step": 0.5}
    assert read_fields(folder("echo")["form"], {})[0]["type"] == ""
    assert [field["id"] for field in read_fields(folder("old-postcard")["form"], {})] == ["image", "margin"]
    assert max_generations(folder("colour-field")["form"]) == 6
    assert max_generations(folder("old-postcard")["form"]) is None


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        (None, "/form"),
        ([], "/form"),
        ({"fields": {}}, "/form/fields"),
        ({"fields": [{"name": "no id"}]}, "/form/fields/0/id"),
        ({"main": [{"id": "a"}], "advanced": [{"id": "a"}]}, "/form/advanced/0/id"),
    ],
)
def test_a_form_that_can_not_be_read_is_told_with_its_place(form, pointer):
    assert [fault.pointer for fault in form_faults(form)] == [pointer]


def test_folders_with_an_underscore_are_no_workflows():
    names = sorted(path.name for path in LIBRARY.iterdir() if is_workflow_folder(path.name))
    assert len(names) == 13
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize(
    ("files", "pointer"),
    [
        ({"form.json": b"{"}, "/form.json"),
        ({"credits.js": b"\xff"}, "/credits.js"),
        ({"form.json": b'{"fields": [{"id": "a", "conf_file": "none.json"}]}'}, "/form.json"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_by_its_name(files, pointer):
    with pytest.raises(Problem) as refused:
        definition_of("broken", files, {})
    assert refused.value.details[0].pointer == pointer


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        ({}, ""),
        ({"workflow": {}, "api": {}}, ""),
        ({"workflow": []}, "/workflow"),
        ({"workflow": {"1": {}}}, "/workflow/1"),
        ({"workflow": {"1": {"class_type": "A", "inputs": []}}}, "/workflow/1/inputs"),
        ({"workflow": {}, "inputs": []}, "/inputs"),
        ({"workflow": {}, "inputs": {"1": []}}, "/inputs/1"),
        ({"workflow": {}, "inputs": {"1": {"a": 1}}}, "/inputs/1/a"),
        ({"job": 1}, "/job"),
        ({"job": {}}, "/job/service_required"),
        ({"job": {"service_required": "a.b"}}, "/job/service_required"),
        ({"job": {"service_required": "a", "priority": 101}}, "/job/priority"),
        ({"job": {"service_required": "a"}, "inputs": "x"}, "/inputs"),
        ({"job": {"service_required": "a"}, "inputs": [{"id": "a"}]}, "/inputs/0"),
        ({"job": {"service_required": "a"}, "inputs": [{"id": "a", "pathJq": "a b"}]}, "/inputs/0/pathJq"),
        ({"api": []}, "/api"),
        ({"api": {"url": "ftp://x"}}, "/api/url"),
        ({"api": {"url": "https://x", "method": "BREW"}}, "/api/method"),
        ({"api": {"url": "https://x", "headers": {"a": 1}}}, "/api/headers"),
        ({"api": {"url": "https://x", "successResponseCode": "ok"}}, "/api/successResponseCode"),
        ({"api": {"url": "https://x", "fetchType": "push"}}, "/api/fetchType"),
        ({"api": {"url": "https://x", "wait": 1}}, "/api/wait"),
        ({"api": {"url": "https://x", "fetchType": "polling", "polling": {}}}, "/api/polling/url"),
        ({"dynamic": []}, "/dynamic"),
        ({"dynamic": {"job_type": "a b", "template": {}}}, "/dynamic/job_type"),
        ({"dynamic": {"job_type": "a", "template": []}}, "/dynamic/template"),
        ({"dynamic": {"job_type": "a", "template": {"x": "{{y}}"}}}, "/dynamic/template"),
        ({"dynamic": {"job_type": "a", "template": {}, "variable_types": {"x": 1}}}, "/dynamic/variable_types"),
    ],
)
def test_a_definition_that_can_not_be_read_is_told_with_its_place(definition, pointer):
    with pytest.raises(Problem) as refused:
        read_template(type_of(definition), definition, frozenset())
    assert [fault.pointer for fault in refused.value.details] == [pointer]


def test_a_template_may_have_keys_that_look_like_references():
    """As a JSON schema in a request has: they reach the worker, and only the step's own references wait for outputs."""
    schema = {"$ref": "#/$defs/size", "$text": "x", "$$ref": 1, "items": [{"$ref": "other"}]}
    job = {"service_required": "text", "payload": {"schema": schema, "tool": {"$ref": "y"}}}
    inputs = [{"id": "image", "pathJq": ".image"}, {"id": "prompt", "pathJq": '.schema["$text"]'}]
    definition = {"job": job, "form": {"fields": []}, "inputs": inputs}
    read = read_template("direct_job", definition, frozenset({"image", "prompt"}))
    payload = build(read, {"image": {"$ref": 3}, "prompt": {"$text": ["a ", {"$ref": 4}]}}, RESERVED).payload
    assert sorted(needs(payload)) == [3, 4]
    outputs = {3: [text("a picture")], 4: [text("fox")]}
    assert resolve(payload, outputs) == {
        "schema": {**schema, "$text": "a fox"},
        "tool": {"$ref": "y"},
        "image": "a picture",
    }
