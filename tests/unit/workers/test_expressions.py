"""The expressions of `api.json`, as the component library writes them."""

import pytest

from workers.http_api.expressions import holds, jq_value, jq_values
from workers.kit.faults import StepFault

ANSWER = {"id": "t-1", "status": "RUNNING", "progress": 0.5, "output": None, "task": {"state": "it's"}}


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("data.status != 'SUCCEEDED'", True),
        ("data.status == 'FAILED'", False),
        ('data.status === "RUNNING"', True),
        ("data.progress < 1 && data.status != 'FAILED'", True),
        ("data.status == 'FAILED' || data.status == 'CANCELLED'", False),
        ('data.task.state == "it\'s"', True),
        ("data.missing.status == 'FAILED'", False),
        ("!data.output", True),
        ("['QUEUED', 'RUNNING'].includes(data.status)", True),
    ],
)
def test_a_comparison_over_the_answer(expression, truth):
    assert holds(expression, ANSWER) is truth


@pytest.mark.parametrize("answer", [None, [], "text", 1])
def test_an_answer_of_another_shape_makes_a_comparison_false(answer):
    assert holds("data.task.state == 'FAILED'", answer) is False


@pytest.mark.parametrize("expression", ["data.status ==", "nothing.x", "while(1){}", "(() => { while (true); })()"])
def test_a_comparison_that_can_not_be_evaluated_is_the_workflows_fault(expression):
    with pytest.raises(StepFault) as fault:
        holds(expression, ANSWER)
    assert (fault.value.error.code, fault.value.error.retryable) == ("API_EXPRESSION", False)


def test_jq_finds_one_or_several_values_and_leaves_out_nulls():
    answer = {"steps": [{"output": {"images": [{"url": "a"}, {"url": None}]}}, {"output": {"images": [{"url": "b"}]}}]}
    assert jq_values(".steps[].output.images[].url", answer) == ["a", "b"]
    assert jq_value(".output[0]", {"output": None}) is None


@pytest.mark.parametrize(
    "expression", [".a[", ".id.x", 'error("no")', "$ENV.PATH", "env", "input", 'import "a" as a; 1']
)
def test_jq_that_fails_or_reaches_out_is_the_workflows_fault(expression):
    with pytest.raises(StepFault) as fault:
        jq_values(expression, ANSWER)
    assert fault.value.error.code == "API_EXPRESSION"
