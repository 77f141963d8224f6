"""Whatever JSON comes in, what comes out is events or a Problem of a bounded size, and nothing else is ever raised."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain.collection import creation, editing, publishing
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import CreateCollection
from services.collections.domain.collection.editing import ConfigurePreview, EditCollection, SetReceivers
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.publishing import PublishCollection, Resolution
from services.collections.domain.collection.receivers import Share
from services.collections.domain.collection.selection import Choice
from services.collections.domain.collection.variable_table import table_of, variables_of
from services.credits.domain.account import Account
from services.credits.domain.amounts import to_micro
from services.credits.domain.decisions import GrantCredits, decide
from services.generation.cost_function import cost_functions
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.job_plan import JobRequest, plan_job
from services.generation.domain.planning.steps import StepOwner, plan_steps
from services.generation.domain.workflow import Register, Workflow
from services.generation.domain.workflow import decide as decide_workflow
from services.generation.engine.intake.result_message import MalformedResult, read_result
from shared.contracts.collections import ChosenSeries
from shared.contracts.generation_input import read
from shared.contracts.json_forms import lossy
from shared.contracts.problem import Problem
from tests.unit.collections.specification import ALICE, COLLECTION, PROJECT, created
from tests.unit.generation.builders import DEFINITIONS, JOB, NOW, folder, pick, step

NUMBERS = [0, -1, 1, -0.0, 0.5, 1e308, -1e308, 5e-324, 1e22, 2**53, 2**63, -(2**63), 2**64, 10**309, -(10**4299)]
WORDS = ["", " ", "x" * 300, "\0", "\x1b[2J", "{{", "}}", "{{}}", "{{style}}", "{{nobody}}", "\u0661", "1_0"]
TOKENS = ["{{$ref:1}}", "{{$ref:2}}", "{{$ref:99999999999999999999}}", "{{$ref:}}"]
NESTED: list[Any] = [
    [],
    {},
    [[]],
    {"$ref": 1},
    {"$ref": 2**70},
    {"$ref": "1"},
    {"$ref": {}},
    {"$text": []},
    {"values": []},
]
ODD = st.sampled_from([None, True, False, *NUMBERS, *WORDS, *TOKENS, *NESTED])
ANY = st.recursive(
    ODD | st.text(max_size=4) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
VALID: dict[str, Any] = {
    "version": "v2",
    "steps": [
        step(1, prompt="a {{style}}", seed=-1, palette="auto", width=512) | {"alias": "Main"},
        step(2, "frame", image={"$ref": 1}, title={"type": "doc", "content": [{"text": "{{style}}"}, {"$ref": 1}]}),
        step(3, "caption", prompt="{{$ref:1}}"),
    ],
    "generations": {"generations": 2, "hashes": ["a", "b"], "use_custom_hashes": True},
    "variables": [
        pick("style", "ink", "oil", weights=[1, 0.5], lock_value=False, test_value="ink"),
        {"name": "size", "type": "number", "value": 3},
        {"name": "free", "type": "text"},
    ],
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a document."""
    below: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(item for key, child in below for item in paths(child, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], by)
    return copied


INSTRUCTIONS = st.builds(replaced, st.just(VALID), st.sampled_from(paths(VALID)), ANY) | ANY


def assert_bounded(problem: Problem) -> None:
    """Answers are JSON of a bounded size."""
    assert len(msgspec.json.encode([problem.detail, problem.detail, problem.details])) <= 14_000


@given(INSTRUCTIONS)
def test_instructions(document: Any) -> None:
    """Created, planned, drawn."""
    command = CreateCollection(
        collection_id=COLLECTION,
        project_id=PROJECT,
        user_id=ALICE,
        changes=FieldChanges(),
        data=document,
        component_ids=range(10**6, 10**6 + 200),
    )
    try:
        event: Any = creation.decide(command, collection.NOTHING)[0]
        planned = read(event.data)
        plan = plan_job(planned, DEFINITIONS, JobRequest({"free": "x"}), JOB, ["h"] * 10_000)
        values = draw(planned.variables, plan.chosen, "h")
        assert msgspec.json.encode(
            plan_steps(planned, DEFINITIONS, values, "h", StepOwner(UUID(int=2), JOB, UUID(int=1)))
        )
    except Problem as problem:
        assert_bounded(problem)


@given(INSTRUCTIONS)
def test_a_table_of_variables(document: Any) -> None:
    """Of what is accepted, the table says the same. A body with a number beyond 64 bits, or U+0000, is not accepted."""
    try:
        before = read(document)
    except Problem as problem:
        assert_bounded(problem)
        return
    if lossy(msgspec.json.encode(document).decode()):
        return
    if variables := document.get("variables"):
        assert read({**document, "variables": variables_of(table_of(variables))}).variables == before.variables


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text('name,value\n"x1[{', max_size=60))
def test_any_table(table: str) -> None:
    try:
        variables_of(table)
    except Problem as problem:
        assert_bounded(problem)


NAMES = st.sampled_from(["style", "size", "free", "nobody", "\0", "x" * 2000])


@given(st.dictionaries(NAMES, ANY), ANY, ANY)
def test_a_request(variables: dict[str, Any], generations: Any, hashes: Any) -> None:
    """Of unchecked variables, count and hashes."""
    try:
        plan_job(read(VALID), DEFINITIONS, JobRequest(variables, generations, hashes), JOB, ["h"] * 10_000)
    except Problem as problem:
        assert_bounded(problem)


ODD_DECIMALS = ["1e-999999999", "1e999999", "-0", "0e-999999", "NaN", "sNaN", "Infinity"]
DECIMALS = st.decimals() | st.sampled_from(ODD_DECIMALS).map(Decimal)
LINES = ["", "\0", "x" * 30_000, "https://x.test/\n", "https://[", "ipfs://a", "1" * 70]
TEXTS = st.text(max_size=8) | st.sampled_from(LINES)
FIELDS = st.builds(
    FieldChanges,
    title=TEXTS | st.none(),
    description=TEXTS | st.none(),
    blockchain=TEXTS | st.sampled_from(["BASE", "TEZOS", None]),
    editions=st.integers() | st.none(),
    price=DECIMALS | st.none(),
    batch_max_tokens=st.integers() | st.none(),
    cover_image_url=TEXTS | st.none(),
    images=st.lists(ANY, max_size=3) | st.none(),
    symbol=TEXTS | st.none(),
    tags=st.lists(TEXTS, max_size=40) | st.none(),
    rights=TEXTS | st.none(),
    license=TEXTS | st.none(),
    license_url=TEXTS | st.none(),
    minter=TEXTS | st.none(),
    banner_image_url=TEXTS | st.none(),
    cover_token=st.integers() | st.none(),
)
SHARES = st.lists(
    st.builds(
        Share,
        address=TEXTS,
        value=DECIMALS,
        type=TEXTS | st.none(),
        purpose=st.sampled_from(["sale", "royalty"]),
        name=TEXTS | st.none(),
    ),
    max_size=3,
)
COMMANDS = st.one_of(
    st.builds(lambda changes: EditCollection(user_id=ALICE, project_id=PROJECT, changes=changes), FIELDS),
    st.builds(lambda shares, splitter: SetReceivers(ALICE, PROJECT, shares, splitter), SHARES, TEXTS | st.none()),
    st.builds(lambda most: ConfigurePreview(user_id=ALICE, max_generations=most), st.integers()),
)
DRAFT = reduce(collection.evolve, created(blockchain="BASE", editions=1, price=Decimal(1)), collection.NOTHING)
SERIES = Resolution(ChosenSeries(UUID(int=7), [UUID(int=8)]))


@given(COMMANDS)
def test_changes_of_a_collection(command: Any) -> None:
    try:
        editing.decide(command, DRAFT)
    except Problem as problem:
        assert_bounded(problem)


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(timezones=ZONES) | st.builds(
    lambda moment, zone: moment.replace(tzinfo=zone),
    st.sampled_from([datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]),
    ZONES,
)


@given(TIMES)
def test_times(date: datetime) -> None:
    """To publish at, and to expire at: to the edges of the calendar."""
    for decided in (
        lambda: publishing.decide(PublishCollection(ALICE, NOW, date, Choice(UUID(int=7)), SERIES), DRAFT),
        lambda: decide(GrantCredits(JOB, ALICE, 1, "x", 1, date, None, NOW), Account()),
    ):
        try:
            decided()
        except Problem as problem:
            assert_bounded(problem)


@given(DECIMALS)
def test_amounts(amount: Decimal) -> None:
    try:
        assert to_micro(amount, "/amount") > 0
    except Problem as problem:
        assert_bounded(problem)


@given(st.builds(replaced, st.just(folder("sketch")), st.sampled_from(paths(folder("sketch"))), ANY))
def test_workflows(definition: Any) -> None:
    if not isinstance(definition, dict):
        return
    try:
        decide_workflow(Register("sketch", definition), Workflow(), cost_functions)
    except Problem as problem:
        assert_bounded(problem)


RESULT = {
    "job_id": str(JOB),
    "gid": str(JOB),
    "sid": str(JOB),
    "attempt": 1,
    "status": "completed",
    "outputs": [{"kind": "asset", "path": "a/b", "asset_id": 1}, {"kind": "json", "json": {}}],
    "error": {"code": "x", "message": "y", "retryable": True},
}


@given(st.builds(replaced, st.just(RESULT), st.sampled_from(paths(RESULT)), ANY))
def test_results(message: Any) -> None:
    """A worker's words are read, or are no result."""
    try:
        assert read_result(msgspec.json.encode(message)).outputs is not None
    except MalformedResult:
        return


@pytest.mark.parametrize("number", [10**309, 10**4299, -(10**400)])
def test_numbers_beyond_doubles_are_refused_where_numbers_are_drawn(number: int) -> None:
    """As a weight or a value: with their place, and not with an error of ours."""
    for variable, pointer in (
        (pick("n", number, value_type="numbers"), "/data/variables/0/value/values/0"),
        (pick("n", "a", "b", weights=[1, number]), "/data/variables/0/value/weights/1"),
        ({"name": "n", "type": "number", "value": number}, "/data/variables/0/value"),
    ):
        with pytest.raises(Problem) as refused:
            read({"version": "v2", "steps": [], "variables": [variable]})
        assert [detail.pointer for detail in refused.value.details] == [pointer]
