"""Reversals and refunds over HTTP: only what is available is taken back, and no job gets more than it captured."""

import asyncio
import json
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.generation import JobPartiallyCompleted
from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.credits import OPERATOR, Api, requested
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CREDIT = 1_000_000


async def send(api: Api, path: str, body: dict[str, Any], *roles: str) -> Answer:
    headers = {"content-type": "application/json"}
    return await api.send("POST", path, OPERATOR, *(roles or ("operator",)), data=json.dumps(body), headers=headers)


async def reverse(api: Api, grant_id: str, external_id: str = "re_1", *roles: str, **fields: Any) -> Answer:
    body = {"user_id": str(ALICE), "reason": "the payment was returned", "external_id": external_id, **fields}
    return await send(api, f"/credits/grants/{grant_id}/reversals", body, *roles)


async def refund(api: Api, job_id: UUID, amount: str, external_id: str = "rf_1", *roles: str, **fields: Any) -> Answer:
    body = {"user_id": str(ALICE), "job_id": str(job_id), "amount": amount, "reason": "blurred", **fields}
    return await send(api, "/credits/refunds", {**body, "external_id": external_id}, *roles)


async def spend(api: Api, generation: Publisher, quoted: int, captured: int, user: UUID = ALICE) -> UUID:
    """A job that has ended."""
    job, before = uuid4(), (await api.balance(user))[2]
    end = JobPartiallyCompleted(job, user, captured=captured * CREDIT, failed=1)
    await generation.publish(job, requested(job, quoted * CREDIT, user), end)
    await eventually(lambda: _is_spent(api, before + captured, user), "the job's end to be charged")
    return job


async def _is_spent(api: Api, amount: Decimal, user: UUID) -> bool:
    return (await api.balance(user))[2] == amount


async def test_what_a_grant_has_left_is_taken_back(api: Api):
    grant = await api.give("10")
    answer = await reverse(api, grant["id"])
    assert answer.status == 201
    assert UUID(answer.data.pop("id"))
    assert answer.data == {
        "grant_id": grant["id"],
        "user_id": str(ALICE),
        "reversed": 10,
        "missing": 0,
        "reason": "the payment was returned",
        "external_id": "re_1",
    }
    assert await api.balance() == (0, 0, 0)


async def test_what_is_held_or_spent_stays_and_the_answer_says_how_much(api: Api, generation: Publisher):
    grant = await api.give("10")
    await spend(api, generation, 4, 3)
    job = uuid4()
    await generation.publish(job, requested(job, 5 * CREDIT))
    await api.settled(("2", "5", "3"))
    answer = (await reverse(api, grant["id"], amount="9.5")).data
    assert (answer["reversed"], answer["missing"]) == (2, Decimal("7.5"))
    assert await api.balance() == (0, 5, 3)
    rest = (await reverse(api, grant["id"], "re_2")).data
    assert (rest["reversed"], rest["missing"]) == (0, 5), "what is left is held"
    assert await api.balance() == (0, 5, 3)


async def test_other_grants_are_left_alone(api: Api):
    grant = await api.give("10")
    await api.give("5")
    assert (await reverse(api, grant["id"], amount="0.25")).data["reversed"] == Decimal("0.25")
    assert await api.balance() == (Decimal("14.75"), 0, 0)


async def test_the_same_external_id_is_the_same_reversal(api: Api):
    grant = await api.give("10")
    answers = await asyncio.gather(*(reverse(api, grant["id"], amount="3") for _ in range(5)))
    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert await api.balance() == (7, 0, 0)
    for other in ({"amount": "4"}, {}):
        refused = await reverse(api, grant["id"], **other)
        assert refused.refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["/external_id"])
    assert await api.balance() == (7, 0, 0)


async def test_a_reversal_is_an_entry_with_its_reason_and_cause(api: Api):
    grant = await api.give("10")
    await reverse(api, grant["id"], amount="4")
    newest = (await api.get("/credits/entries")).data[0]
    assert (newest["kind"], newest["amount"], newest["balance_after"]) == ("reversed", 4, 6)
    assert newest["grant_id"] == grant["id"]


async def test_wrong_reversals_are_refused_with_their_pointer(api: Api):
    grant = await api.give("10")
    head = await api.runtime.store.head()
    assert (await reverse(api, grant["id"], amount="10.000001")).refusal == (400, "VALIDATION_FAILED", ["/amount"])
    assert (await reverse(api, grant["id"], amount="0")).refusal == (400, "VALIDATION_FAILED", ["/amount"])
    assert (await reverse(api, grant["id"], reason="")).refusal == (400, "VALIDATION_FAILED", ["/reason"])
    assert (await reverse(api, grant["id"], user_id=str(BOB))).refusal == (404, "NOT_FOUND", ["/user_id"])
    assert (await reverse(api, str(uuid4()))).refusal == (404, "NOT_FOUND", ["/user_id"])
    assert (await reverse(api, grant["id"], "re_1", "user")).refusal == (403, "FORBIDDEN", [])
    assert await api.runtime.store.head() == head


async def test_a_refund_comes_back_as_a_grant_and_is_bounded_by_what_was_captured(api: Api, generation: Publisher):
    await api.give("10")
    job = await spend(api, generation, 6, 4)
    answer = await refund(api, job, "1.5")
    assert answer.status == 201
    assert answer.data == {
        "grant_id": answer.data["grant_id"],
        "user_id": str(ALICE),
        "job_id": str(job),
        "amount": Decimal("1.5"),
        "reason": "blurred",
        "external_id": "rf_1",
    }
    assert await api.balance() == (Decimal("7.5"), 0, 4)
    refused = await refund(api, job, "2.500001", "rf_2")
    assert refused.refusal == (409, "REFUND_EXCEEDS_CAPTURE", ["/amount"])
    assert "2.5" in refused.body["detail"]
    assert (await refund(api, job, "2.5", "rf_2")).status == 201
    assert (await refund(api, job, "0.000001", "rf_3")).refusal[:2] == (409, "REFUND_EXCEEDS_CAPTURE")
    assert await api.balance() == (10, 0, 4)
    kinds = [entry["kind"] for entry in (await api.get(f"/credits/entries?job_id={job}")).data]
    assert kinds == ["refunded", "refunded", "released", "captured", "held"]


async def test_concurrent_refunds_never_give_back_more_than_was_captured(api: Api, generation: Publisher):
    await api.give("10")
    job = await spend(api, generation, 5, 5)
    answers = await asyncio.gather(*(refund(api, job, "2", f"rf_{number}") for number in range(8)))
    assert sorted(answer.status for answer in answers) == [201, 201] + 6 * [409]
    assert await api.balance() == (9, 0, 5)


async def test_the_same_external_id_is_the_same_refund(api: Api, generation: Publisher):
    await api.give("10")
    job, other = await spend(api, generation, 5, 5), await spend(api, generation, 5, 5)
    first, second = [await refund(api, job, "2") for _ in range(2)]
    assert (first.status, first.data) == (second.status, second.data)
    for changed in (refund(api, job, "3"), refund(api, other, "2")):
        assert (await changed).refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["/external_id"])
    assert await api.balance() == (2, 0, 10)


async def test_a_job_of_another_payer_or_without_captured_credits_is_not_refunded(api: Api, generation: Publisher):
    await api.give("10", BOB)
    job = await spend(api, generation, 5, 5, BOB)
    for wrong in (job, uuid4()):
        assert (await refund(api, wrong, "1")).refusal == (404, "NOT_FOUND", ["/job_id"])
    assert (await refund(api, job, "1", "rf_1", "user", user_id=str(BOB))).refusal == (403, "FORBIDDEN", [])
    assert (await refund(api, job, "1", user_id=str(BOB))).status == 201


@pytest.mark.parametrize(
    ("field", "value"), [("amount", "-1"), ("reason", "x" * 201), ("external_id", ""), ("job_id", "x")]
)
async def test_wrong_refunds_are_refused_with_their_pointer(api: Api, field: str, value: str):
    body = {"user_id": str(ALICE), "job_id": str(uuid4()), "amount": "1", "reason": "x", "external_id": "y"}
    refused = await send(api, "/credits/refunds", {**body, field: value})
    assert refused.refusal == (400, "VALIDATION_FAILED", [f"/{field}"])


async def test_an_idempotency_key_of_another_request_is_refused(api: Api, generation: Publisher):
    """Whatever the external ids are."""
    grant = await api.give("10")
    job = await spend(api, generation, 4, 4)
    headers = {"content-type": "application/json", "Idempotency-Key": "k"}

    async def keyed(path: str, external_id: str, **body: Any) -> Answer:
        content = json.dumps({"user_id": str(ALICE), "reason": "returned", "external_id": external_id, **body})
        return await api.send("POST", path, OPERATOR, "operator", data=content, headers=headers)

    for path, body in ((f"/credits/grants/{grant['id']}/reversals", {}), ("/credits/refunds", {"job_id": str(job)})):
        first, again, other = [await keyed(path, external_id, amount="1", **body) for external_id in ("a", "a", "b")]
        assert (first.status, first.text) == (again.status, again.text) == (201, first.text)
        assert other.refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["header:Idempotency-Key"])
    assert await api.balance() == (6, 0, 4)
