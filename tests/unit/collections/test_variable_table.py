"""Variables as CSV: exact both ways, readable in a spreadsheet, and clear about what can't be read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.collections.domain.collection.variable_table import table_of, variables_of
from shared.contracts.problem import Problem

STYLE = {
    "name": "style",
    "type": "pick",
    "value_type": "strings",
    "lock_value": False,
    "test_value": "noir",
    "value": {"display_names": ["Noir", "Pop, loud"], "values": ["noir", "pop"], "weights": [1, 0.5]},
}
SUBJECT = {"name": "subject", "type": "text", "value": "a person"}

SCALARS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10),
    st.sampled_from(["", " ", "1", "-1", "=1+1", "TRUE", "null", '"', '"a"', "[", "{}", "a\r\nb", "a\nb", "01", "1e5"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
EXTRA = st.dictionaries(st.sampled_from(["note", "description", "order"]), SCALARS | st.none() | st.lists(SCALARS))


@st.composite
def picks(draw) -> dict:
    values = draw(st.lists(SCALARS, min_size=1, max_size=4))
    scalar_lists = st.lists(SCALARS, min_size=len(values), max_size=len(values))
    value = {
        "values": values,
        **draw(st.fixed_dictionaries({}, optional={"display_names": scalar_lists, "weights": scalar_lists})),
    }
    return {"name": draw(SCALARS), "type": "pick", "value": {**value, **draw(EXTRA)}, **draw(EXTRA)}


@st.composite
def weighted(draw) -> dict:
    values = draw(st.lists(SCALARS, min_size=1, max_size=3))
    return {"values": values, "weights": draw(st.lists(SCALARS, min_size=len(values), max_size=len(values)))}


def ranges() -> st.SearchStrategy[dict]:
    weights = st.lists(SCALARS, max_size=3)
    return st.fixed_dictionaries({"min": SCALARS, "max": SCALARS}, optional={"step": SCALARS, "weights": weights})


@st.composite
def others(draw) -> dict:
    fields = {"value_type": SCALARS, "lock_value": st.booleans(), "test_value": SCALARS | st.none() | st.lists(SCALARS)}
    value = SCALARS | st.none() | st.fixed_dictionaries({"values": st.lists(SCALARS)}) | weighted() | ranges()
    variable = {"name": draw(SCALARS), "type": draw(st.sampled_from(["text", "number"]))}
    return variable | draw(st.fixed_dictionaries({}, optional={**fields, "value": value})) | draw(EXTRA)


def exact(value):
    """Tells 1 from 1.0 and True, which Python takes for equal."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value).__name__, repr(value)


@given(st.lists(picks() | others(), max_size=4))
@example([STYLE, SUBJECT])
def test_a_written_table_is_read_back_exactly(variables):
    assert exact(variables_of(table_of(variables))) == exact(variables)


def test_the_table_of_two_variables():
    """A row for each value; the variable's members are in its first row; empty cells for missing members."""
    assert table_of([STYLE, SUBJECT]).splitlines() == [
        "name,type,value_type,lock_value,test_value,value,display_name,weight,more",
        "style,pick,strings,false,noir,noir,Noir,1,",
        ',,,,,pop,"Pop, loud",0.5,',
        "subject,text,,,,a person,,,",
    ]


def test_the_table_of_numbers():
    """A number's weighted values have a row each; a range is one JSON object."""
    weighted = {"name": "moons", "type": "number", "value": {"values": [0, 2], "weights": [3, 1]}}
    spread = {"name": "waves", "type": "number", "value": {"min": 3, "max": 9, "step": 2}}
    assert table_of([weighted, spread]).splitlines()[1:] == [
        "moons,number,,,,0,,3,",
        ",,,,,2,,1,",
        'waves,number,,,,"{""min"":3,""max"":9,""step"":2}",,,',
    ]


def test_no_cell_runs_as_a_formula():
    table = table_of([{"name": "n", "type": "text", "value": '=HYPERLINK("http://evil")'}])
    assert all(cell[:1] not in "=+-@" or not cell for line in table.splitlines() for cell in line.split(","))


def test_tables_as_spreadsheets_write_them_are_read():
    """With a byte order mark, TRUE, blank rows, and some of the columns in another order."""
    table = "\ufefftype,name,lock_value,value\r\ntext,subject,TRUE,a person\r\n,,,\r\n"
    assert variables_of(table) == [{"name": "subject", "type": "text", "lock_value": True, "value": "a person"}]


@pytest.mark.parametrize(
    ("table", "pointer"),
    [
        ("", "/1"),
        ("name,colour\nx,red\n", "/1"),
        ("name,name\nx,y\n", "/1"),
        ("name,type\nx,text,more\n", "/2"),
        ("name,type,value\n,,1\n", "/2/name"),
        ("name,type,value\nx,text,a\n,,b\n", "/3/name"),
        ("name,type,value\nx,pick,a\n,number,b\n", "/3/type"),
        ("name,type,value,weight\nx,pick,a,1\n,,b,\n", "/2/weight"),
        ("name,more\nx,5\n", "/2/more"),
        ('name,more\nx,"{""value"": 5}"\n', "/2/more"),
        ('name\n"x', ""),
    ],
)
def test_a_fault_has_the_line_and_column(table, pointer):
    with pytest.raises(Problem) as refused:
        variables_of(table)
    assert refused.value.code == "VALIDATION_FAILED"
    assert [detail.pointer for detail in refused.value.details] == [pointer]


def test_a_long_text_is_read_back():
    """A cell may be as long as a text in a JSON body."""
    text = 'a "quoted" word, ' * 300_000
    variables = [{"name": "long", "type": "text", "value": text}]
    assert variables_of(table_of(variables)) == variables


@pytest.mark.parametrize("cell", ["1" * 310, "1" * 4300, "9223372036854775808", "1e400", "1e-999", '{"a":1,"a":2}'])
def test_json_that_would_lose_precision_is_a_text(cell):
    """A JSON body with it would be refused; the command checks whether the text is a valid value."""
    quoted = cell.replace('"', '""')
    [variable] = variables_of(f'name,type,value\nx,text,"{quoted}"\n')
    assert variable["value"] == cell


def test_a_header_of_many_columns_is_refused_at_once():
    with pytest.raises(Problem, match="the first line has the columns"):
        variables_of(",".join(["name"] * 100_000))
