"""Spend limits over HTTP: who sets them, what is limits of them, and what credits tells of a job over one."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from services.credits.domain.spending import Limits, Spending
from services.credits.routes.limits import limits_view
from shared.contracts.credits import CreditsLow, HoldDeclined, SpendLimit
from shared.contracts.event import Event
from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.credits import OPERATOR, Api, requested
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CREDIT = 1_000_000
NONE = {"daily": None, "per_job": None}


async def put(api: Api, body: str | dict[str, Any], user: UUID = ALICE, of: UUID | None = None) -> Answer:
    """Limits of a user's own, or those that an operator sets of another."""
    text = body if isinstance(body, str) else json.dumps(body)
    path = "/credits/limits" if of is None else f"/credits/limits/{of}"
    roles = ("operator",) if user == OPERATOR else ()
    return await api.send("PUT", path, user, *roles, data=text, headers={"content-type": "application/json"})


async def told(api: Api, kind: type[Event], user: UUID = ALICE) -> list[Any]:
    return [item.event for item in await api.runtime.store.read_stream(user) if isinstance(item.event, kind)]


async def test_an_account_without_limits_shows_none(api: Api) -> None:
    balance = (await api.get("/credits")).data
    assert balance["limits"] == {**NONE, "left_today": None, "low_threshold": None, "user": NONE, "operator": NONE}
    assert balance["is_low"] is False


async def test_the_lower_limit_of_both_applies(api: Api) -> None:
    """A repetition is the same answer; null, or a member that is left out, removes a limit."""
    own = {"daily": "12.5", "per_job": 5, "low_threshold": "0.000001"}
    for _ in range(2):
        assert (await put(api, own)).data["user"] == {"daily": Decimal("12.5"), "per_job": 5}
    limits = (await put(api, {"daily": 10, "per_job": 7}, OPERATOR, ALICE)).data
    assert (limits["daily"], limits["per_job"], limits["left_today"]) == (10, 5, 10)
    assert limits["operator"] == {"daily": 10, "per_job": 7}
    assert (await api.get("/credits")).data["limits"] == limits
    assert (await api.get("/credits", BOB)).data["limits"]["daily"] is None
    operators = {"daily": 10, "per_job": 7}
    without_own = {**operators, "left_today": 10, "low_threshold": None, "user": NONE, "operator": operators}
    assert (await put(api, {"daily": None})).data == without_own
    assert (await put(api, {}, OPERATOR, ALICE)).data["operator"] == NONE


async def test_only_operators_set_the_limits_of_others(api: Api) -> None:
    refused = await put(api, {"daily": 1}, BOB, ALICE)
    assert refused.refusal == (403, "FORBIDDEN", [])
    assert (await put(api, {"low_threshold": 1}, OPERATOR, ALICE)).pointers == ["/low_threshold"]
    assert (await api.get("/credits")).data["limits"]["daily"] is None


async def test_a_limit_that_is_no_amount_is_refused_at_its_place(api: Api) -> None:
    for name in ("daily", "per_job", "low_threshold"):
        for value in ("-1", "0.0000001", '"x"', "true", "1e10", "[]", '"NaN"'):
            answer = await put(api, f'{{"{name}": {value}}}')
            assert answer.refusal == (400, "VALIDATION_FAILED", [f"/{name}"]), value
    assert (await put(api, {"daily": 0, "per_job": "0"})).data["left_today"] == 0
    assert (await put(api, {"weekly": 0})).pointers == ["/weekly"]


async def test_a_job_over_a_limit_is_declined_and_the_event_tells_which(api: Api, generation: Publisher) -> None:
    """Though there are enough credits; a redelivery changes nothing, and a job of the limit is held."""
    await api.give("10")
    await put(api, {"per_job": 3})
    over, within = uuid4(), uuid4()
    await generation.publish(over, requested(over, 4 * CREDIT))
    await generation.publish(within, requested(within, 3 * CREDIT))
    await api.settled(("7", "3", "0"))

    async def declined() -> bool:
        return bool(await told(api, HoldDeclined))

    await eventually(declined, "the job to be declined")
    [event] = await told(api, HoldDeclined)
    assert (event.job_id, event.available) in {(over, 10 * CREDIT), (over, 7 * CREDIT)}, "in any order of both"
    assert event.limit == SpendLimit("per_job", "user", 3 * CREDIT, 3 * CREDIT)


async def test_low_credits_are_told_once_and_shown(api: Api, generation: Publisher) -> None:
    await api.give("10")
    await put(api, {"low_threshold": 5})
    assert (await api.get("/credits")).data["is_low"] is False
    for amount, settled in ((6, ("4", "6", "0")), (1, ("3", "7", "0"))):
        job = uuid4()
        await generation.publish(job, requested(job, amount * CREDIT))
        await api.settled(settled)
    assert (await api.get("/credits")).data["is_low"] is True
    assert await told(api, CreditsLow) == [CreditsLow(ALICE, 4 * CREDIT, 5 * CREDIT)]
    await api.give("2")
    assert (await api.get("/credits")).data["is_low"] is False


def test_what_is_left_today_is_of_this_day() -> None:
    """Tomorrow, all of the limit is left again."""
    now = datetime(2026, 11, 28, 23, 59, tzinfo=UTC)
    spending = Spending(user=Limits(10 * CREDIT), operator=Limits(8 * CREDIT), day="2026-11-28", amount=6 * CREDIT)
    assert limits_view(spending, now).left_today == 2
    assert limits_view(spending, now + timedelta(minutes=1)).left_today == 8
