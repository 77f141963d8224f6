"""Variables go in once, references when they are known, and nothing that was put in is ever read again."""

from hypothesis import given
from hypothesis import strategies as st

from services.generation.domain.substitution import drawn, drawn_prompt, needs, output_value, resolved
from shared.contracts.generation import Output
from tests.unit.generation.builders import asset, text

VALUES = {"style": "cyberpunk", "n": 512, "half": 0.5, "trick": "{{style}} {{$ref:1}} {{nobody}}"}


def test_names_are_replaced_in_any_string_at_any_depth():
    """Keys and other values stay; spaces within the braces don't matter."""
    payload = {"a": ["portrait, {{style}}", {"b": "{{ style }}/{{n}}/{{half}}"}], "{{style}}": True, "c": None}
    assert drawn(payload, VALUES) == {
        "a": ["portrait, cyberpunk", {"b": "cyberpunk/512/0.5"}],
        "{{style}}": True,
        "c": None,
    }


def test_a_string_that_is_nothing_but_a_name_takes_the_values_own_type():
    """A number stays a number; with anything around it, it becomes text."""
    assert drawn({"width": "{{n}}", "title": " {{n}}"}, VALUES) == {"width": 512, "title": " 512"}


def test_references_stay_open_until_their_outputs_are_known():
    """A reference alone is the value itself; within a text it is one of the text's parts."""
    payload = {"image": {"$ref": 1}, "same": "{{$ref:1}}", "title": "{{style}} after {{ $ref: 2 }}!"}
    opened = drawn(payload, VALUES)
    assert opened == {
        "image": {"$ref": 1},
        "same": {"$ref": 1},
        "title": {"$text": ["cyberpunk after ", {"$ref": 2}, "!"]},
    }
    assert needs(opened) == [1, 2]
    outputs = {1: [asset(1)], 2: [text("a fox")]}
    assert resolved(opened, outputs) == {
        "image": asset(1).url,
        "same": asset(1).url,
        "title": "cyberpunk after a fox!",
    }


def test_what_a_variable_contains_is_not_parsed():
    """Neither as a variable nor as a reference, alone or within a text that has references of its own."""
    opened = drawn({"a": "{{trick}}", "b": "x {{trick}} {{$ref:2}}"}, VALUES)
    assert needs(opened) == [2]
    assert resolved(opened, {2: [text("{{style}} {{$ref:3}}")]}) == {
        "a": VALUES["trick"],
        "b": f"x {VALUES['trick']} {{{{style}}}} {{{{$ref:3}}}}",
    }


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_inserted_values_come_out_exactly_as_they_went_in(first, second, output):
    """Whatever a value or an output contains, the text has it between what the artist wrote."""
    opened = drawn("<{{a}}|{{$ref:1}}|{{b}}>", {"a": first, "b": second})
    assert resolved(opened, {1: [text(output)]}) == f"<{first}|{output}|{second}>"


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
    opened = drawn_prompt(document, VALUES)
    assert needs(opened) == [7]
    assert resolved(opened, {7: [text("a fox")]}) == f"portrait, cyberpunk \nlike a fox, {VALUES['trick']}"


def test_a_document_may_be_a_list_of_blocks():
    """As one editor writes it; a node that is only a reference makes the value that reference."""
    blocks = [{"type": "paragraph", "children": [{"text": "a"}]}, {"type": "paragraph", "children": [{"text": "b"}]}]
    assert drawn_prompt(blocks, {}) == "a\nb"
    assert drawn_prompt([{"type": "p", "children": [{"type": "component", "$ref": 3}]}], {}) == {"$ref": 3}


def test_a_plain_prompt_is_a_text_like_any_other():
    """And a prompt that is a reference is that reference."""
    assert drawn_prompt("{{style}}!", VALUES) == "cyberpunk!"
    assert drawn_prompt({"$ref": 4}, VALUES) == {"$ref": 4}


def test_a_reference_takes_a_file_before_a_text_before_json():
    """Its first file's URL; a JSON value within a text is written as JSON."""
    assert output_value([text("t"), asset(1), asset(2)]) == asset(1).url
    assert output_value([Output(kind="json", json={"a": 1}), text("t")]) == "t"
    assert output_value([Output(kind="json", json={"a": 1})]) == {"a": 1}
    assert resolved({"$text": ["x ", {"$ref": 1}]}, {1: [Output(kind="json", json=[1])]}) == "x [1]"
