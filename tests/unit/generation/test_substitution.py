"""Variables go in once, references when they are known, and nothing that was put in is ever read again."""

from hypothesis import assume, given
from hypothesis import strategies as st

from services.generation.domain.payload.prompts import substitute_prompt
from services.generation.domain.payload.substitution import literal, needs, output_value, resolve, substitute
from shared.contracts.generation import Output
from shared.contracts.generation_input import names_in
from shared.contracts.pointers import values
from shared.contracts.references import malformed, walk
from tests.unit.generation.builders import asset, text

VALUES = {"style": "cyberpunk", "n": 512, "half": 0.5, "trick": "{{style}} {{$ref:1}} {{nobody}}"}


def test_names_are_replaced_in_any_string_at_any_depth():
    """Keys and other values stay; spaces within the braces don't matter."""
    payload = {"a": ["portrait, {{style}}", {"b": "{{ style }}/{{n}}/{{half}}"}], "{{style}}": True, "c": None}
    assert substitute(payload, VALUES) == {
        "a": ["portrait, cyberpunk", {"b": "cyberpunk/512/0.5"}],
        "{{style}}": True,
        "c": None,
    }


def test_a_string_that_is_nothing_but_a_name_takes_the_values_own_type():
    """A number stays a number; with anything around it, it becomes text."""
    assert substitute({"width": "{{n}}", "title": " {{n}}"}, VALUES) == {"width": 512, "title": " 512"}


def test_references_stay_open_until_their_outputs_are_known():
    """A reference alone is the value itself; within a text it is one of the text's parts."""
    payload = {"image": {"$ref": 1}, "same": "{{$ref:1}}", "title": "{{style}} after {{ $ref: 2 }}!"}
    opened = substitute(payload, VALUES)
    assert opened == {
        "image": {"$ref": 1},
        "same": {"$ref": 1},
        "title": {"$text": ["cyberpunk after ", {"$ref": 2}, "!"]},
    }
    assert needs(opened) == [1, 2]
    outputs = {1: [asset(1)], 2: [text("a fox")]}
    assert resolve(opened, outputs) == {
        "image": asset(1).url,
        "same": asset(1).url,
        "title": "cyberpunk after a fox!",
    }


def test_what_a_variable_contains_is_not_parsed():
    """Neither as a variable nor as a reference, alone or within a text that has references of its own."""
    opened = substitute({"a": "{{trick}}", "b": "x {{trick}} {{$ref:2}}"}, VALUES)
    assert needs(opened) == [2]
    assert resolve(opened, {2: [text("{{style}} {{$ref:3}}")]}) == {
        "a": VALUES["trick"],
        "b": f"x {VALUES['trick']} {{{{style}}}} {{{{$ref:3}}}}",
    }


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_inserted_values_come_out_exactly_as_they_went_in(first, second, output):
    """Whatever a value or an output contains, the text has it between what the artist wrote."""
    opened = substitute("<{{a}}|{{$ref:1}}|{{b}}>", {"a": first, "b": second})
    assert resolve(opened, {1: [text(output)]}) == f"<{first}|{output}|{second}>"


def test_a_rich_document_becomes_the_text_that_it_says():
    """Tokens in its texts, references in its nodes or their attributes, a line break between blocks."""
    document = {
        "type": "doc",
        "content": [
            {"type": "paragraph", "content": [{"type": "text", "text": "portrait, {{style}} "}]},
            {
                "type": "paragraph",
                "children": [
                    {"text": "like "},
                    {"type": "component", "attrs": {"$ref": 7}, "children": [{"text": ""}]},
                    {"text": ", {{trick}}"},
                ],
            },
        ],
    }
    opened = substitute_prompt(document, VALUES)
    assert needs(opened) == [7]
    assert resolve(opened, {7: [text("a fox")]}) == f"portrait, cyberpunk \nlike a fox, {VALUES['trick']}"


def test_a_document_may_be_a_list_of_blocks():
    """As one editor writes it; a node that is only a reference makes the value that reference."""
    blocks = [{"type": "paragraph", "children": [{"text": "a"}]}, {"type": "paragraph", "children": [{"text": "b"}]}]
    assert substitute_prompt(blocks, {}) == "a\nb"
    assert substitute_prompt([{"type": "p", "children": [{"type": "component", "$ref": 3}]}], {}) == {"$ref": 3}


def test_a_plain_prompt_is_a_text_like_any_other():
    """And a prompt that is a reference is that reference."""
    assert substitute_prompt("{{style}}!", VALUES) == "cyberpunk!"
    assert substitute_prompt({"$ref": 4}, VALUES) == {"$ref": 4}


def test_a_reference_takes_a_file_before_a_text_before_json():
    """Its first file's URL; a JSON value within a text is written as JSON."""
    assert output_value([text("t"), asset(1), asset(2)]) == asset(1).url
    assert output_value([Output(kind="json", json={"a": 1}), text("t")]) == "t"
    assert output_value([Output(kind="json", json={"a": 1})]) == {"a": 1}
    assert resolve({"$text": ["x ", {"$ref": 1}]}, {1: [Output(kind="json", json=[1])]}) == "x [1]"


def test_a_list_within_a_document_hides_no_reference():
    """Nor does a mark, an unknown member, or a block that is nothing else."""
    document = {
        "type": "doc",
        "content": [
            [{"type": "component", "attrs": {"$ref": 1}}],
            {"type": "text", "text": "after {{$ref:2}}", "marks": [{"type": "link", "attrs": {"of": {"$ref": 3}}}]},
            {"type": "component", "attrs": {"$ref": 4}, "content": [{"text": "shown as {{$ref:5}}"}]},
            {"note": ["{{$ref:6}}"]},
        ],
    }
    opened = substitute_prompt(document, {})
    assert needs(opened) == [1, 2, 3, 4, 5, 6]
    assert resolve(opened, {n: [text(f"<{n}>")] for n in range(1, 7)}) == "<1>after <2><3><4><5><6>"


_IDS = st.integers(1, 9)
_NODE_TEXTS = st.text("ab \n", max_size=4) | _IDS.map(lambda step: f"x {{{{$ref:{step}}}}} {{{{style}}}}")
_REFERENCES = _IDS.map(lambda step: {"$ref": step})
_VALUES = st.recursive(
    st.none() | st.integers(0, 3) | _NODE_TEXTS | _REFERENCES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$ref", "a", "text"]), inner, max_size=2)
    ),
    max_leaves=5,
)
_NODES = st.recursive(
    st.fixed_dictionaries({"text": _NODE_TEXTS}) | _REFERENCES | _NODE_TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["paragraph", "hardBreak", "component"]),
                "text": _NODE_TEXTS | _VALUES,
                "attrs": _REFERENCES | _VALUES,
                "content": st.lists(inner, max_size=3) | _VALUES,
                "children": st.lists(inner, max_size=3) | _VALUES,
                "marks": _VALUES,
            },
        )
    ),
    max_leaves=12,
)
_DOCUMENTS = st.lists(_NODES, max_size=4).map(lambda nodes: {"type": "doc", "content": nodes})


def opened_references(value):
    """Whatever a drawn payload still has of references, in its objects or in its texts."""
    if isinstance(value, dict):
        return any(map(opened_references, value.values())) or "$ref" in value
    if isinstance(value, list):
        return any(map(opened_references, value))
    return isinstance(value, str) and ("$ref" in value or "{{style}}" in value)


@given(_DOCUMENTS | _NODES | _VALUES)
def test_the_executor_waits_for_exactly_what_the_checker_finds(document):
    """In any document, however odd: no step runs before one that it refers to, or with a reference as its text."""
    payload = {"prompt": document, "other": document}
    assume(not list(malformed(payload)))
    assume(
        not any(name != "style" for _, value in values(payload) if isinstance(value, str) for name in names_in(value))
    )
    step_ids = {step for _, step in walk(payload)}
    opened = {"prompt": substitute_prompt(document, {"style": "ink"}), "other": substitute(document, {"style": "ink"})}
    assert set(needs(opened["prompt"])) == set(needs(opened["other"])) == step_ids
    assert not opened_references(resolve(opened, {step: [text("done")] for step in step_ids}))


@given(
    st.recursive(
        st.text(max_size=3) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["$ref", "$text", "$$ref", "$$$text", "$", "a"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_a_document_of_its_own_keys_comes_out_as_it_went_in(document):
    assert needs(literal(document)) == []
    assert resolve(literal(document), {}) == document
