"""Costs in JavaScript: which files run, what they may do, and that the same payload always costs the same."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.cost_function import BadCost, CostFunction

STEPS = """
function computeCost(context) {
  const { steps } = context;
  return { cost: steps > 20 ? 1 + (steps - 20) * 0.1 : 1, details: { steps } };
}
"""


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("function computeCost() { return {cost: 2}; }", "2"),
        ("const computeCost = ({width, height}) => ({cost: Math.ceil(width * height / 2 ** 20)});", "1"),
        ("function computeCost(c) { console.log(c); return {cost: {small: 0.25, large: 1e-6}[c.size]}; }", "0.25"),
        ("function computeCost(c) { return {cost: Object.keys(c).length}; }", "4"),
        ("function computeCost(c) { return {cost: c.missing === undefined ? 0.1 + 0.2 : 1}; }", "0.30000000000000004"),
        ("function computeCost(c) { return {cost: 1 + c.text - 20 < 0 ? 1 : 7}; }", "7"),  # "110" - 20
    ],
)
def test_a_file_of_the_component_library_runs_unchanged(source, cost):
    payload = {"width": 1024, "height": 512, "size": "small", "text": "10"}
    assert CostFunction(source).cost(payload).credits == Decimal(cost)


def test_details_are_kept():
    assert CostFunction(STEPS).cost({"steps": 30}).details == {"steps": 30}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("function computeCost( {", "can't be read"),
        ("export function computeCost() {}", "can't be read"),
        ("module.exports = {price: 1}", "defines no function computeCost"),
        ("let computeCost = 1", "defines no function computeCost"),
        ("x".ljust(70_000, "x"), "more than 65536"),
    ],
)
def test_a_file_without_the_function_is_refused(source, sentence):
    with pytest.raises(BadCost, match=sentence):
        CostFunction(source)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("throw new Error('no price')", "Error: no price"),
        ("return c.model.price", "cannot read property 'price' of undefined"),
        ("return 1", "returned no cost"),
        ("return {}", "returned no cost"),
        ("return {cost: '1'}", "a string"),
        ("return {cost: null}", "an? object"),
        ("return {cost: NaN}", "returned NaN"),
        ("return {cost: 1 / 0}", "returned Infinity"),
        ("return {cost: -0.5}", "returned -0.5"),
        ("return {cost: 1n}", "a bigint"),
        ("return {cost: 1, details: 'x'.repeat(20000)}", "more than 16384 bytes"),
        ("return {cost: 1, details: {size: 1n}}", "BigInt"),
        ("const a = {cost: 1}; a.details = a; return a", "circular"),
        ("while (true) {}", "interrupted"),
        ("return {cost: /(a+)+$/.test('a'.repeat(40) + 'b') ? 1 : 2}", "interrupted"),
        ("return {cost: 'x'.repeat(1e9).length}", "memory"),
        ("const a = []; while (true) a.push(new Array(1000))", "memory"),
        ("return (function f() { return f(); })()", "stack"),
        ("return {cost: Date.now()}", "Date is not defined"),
        ("return {cost: new (c.constructor.constructor('return Date')())().getTime()}", "Date is not defined"),
        ("return {cost: Math.random()}", "not a function"),
        ("return {cost: performance.now()}", "performance is not defined"),
        ("return fetch('http://127.0.0.1')", "fetch is not defined"),
        ("return require('fs')", "require is not defined"),
    ],
)
def test_what_is_no_cost_is_refused_with_a_sentence(body, sentence):
    with pytest.raises(BadCost, match=sentence):
        CostFunction(f"function computeCost(c) {{ {body} }}").cost({})


def test_nothing_is_carried_from_one_call_to_the_next():
    function = CostFunction("let calls = 0; function computeCost(c) { calls += 1; return {cost: calls + c.a}; }")
    assert [function.cost({"a": n}).credits for n in range(3)] == [1, 2, 3]


PAYLOADS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "other"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2), st.lists(st.integers(0, 2), max_size=2)
    ),
)
BRANCHES = """
function computeCost(c) {
  if (c.a === undefined) return {cost: 1, details: ['no a']};
  if (c.a === null) return {cost: 'b' in c ? 2 : 3};
  if (c.a === true) return {cost: Object.keys(c).length, details: Object.keys(c)};
  return {cost: String(c.b).length + (c.a && c.c ? 10 : 0)};
}
"""


@given(st.lists(PAYLOADS, max_size=20))
def test_a_remembered_cost_is_the_one_that_would_be_computed(payloads):
    function = CostFunction(BRANCHES)
    assert [function.cost(payload) for payload in payloads] == [
        CostFunction(BRANCHES).cost(payload) for payload in payloads
    ]


def test_a_function_runs_once_for_each_combination_of_what_it_reads(monkeypatch):
    function, run = CostFunction(STEPS), CostFunction._run
    runs = []
    monkeypatch.setattr(CostFunction, "_run", lambda self, payload: runs.append(payload) or run(self, payload))
    for number in range(100):
        function.cost({"steps": number % 4, "prompt": f"prompt {number}"})
    assert len(runs) == 4
