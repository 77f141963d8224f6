"""Giving credits over HTTP: exact amounts in and out, one grant per external id, and every wrong input refused."""

import asyncio
import json
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api


async def test_a_user_without_credits_has_zeros(api: Api):
    assert await api.balance() == (0, 0, 0)


async def test_a_grant_is_in_the_balance_when_it_is_answered(api: Api):
    grant = await api.give(
        "12.5", source="stripe", priority=3, expires_at="2100-01-01T00:00:00+02:00", external_id="pi_1"
    )
    assert UUID(grant.pop("id"))
    assert grant == {
        "user_id": str(ALICE),
        "amount": Decimal("12.5"),
        "source": "stripe",
        "priority": 3,
        "expires_at": "2099-12-31T22:00:00Z",
        "external_id": "pi_1",
    }
    assert await api.balance() == (Decimal("12.5"), 0, 0)
    assert (await api.get("/credits", BOB)).data["available"] == 0


async def test_amounts_are_exact_on_their_way_in_and_out(api: Api):
    """A number token is read digit by digit, and written the same."""
    for amount in ["0.000001", "0.1", "1", "0.3", "1000000000", "999999999.999999", "123456.789012"]:
        user = uuid4()
        answer = await api.grant(f'{{"user_id": "{user}", "amount": {amount}}}')
        assert f'"amount":{amount},' in answer.text
        assert f'"available":{amount},' in (await api.get("/credits", user)).text


async def test_many_small_amounts_add_up_exactly(api: Api):
    await asyncio.gather(*(api.give("0.1") for _ in range(10)))
    assert '"available":1,' in (await api.get("/credits")).text


async def test_the_same_external_id_is_the_same_grant(api: Api):
    answers = await asyncio.gather(*(api.give("5", external_id="order-7") for _ in range(5)))
    assert len({answer["id"] for answer in answers}) == 1
    assert await api.balance() == (5, 0, 0)


async def test_an_external_id_belongs_to_its_user(api: Api):
    await api.give("5", external_id="order-7")
    await api.give("6", user=BOB, external_id="order-7")
    assert await api.balance() == (5, 0, 0)
    assert await api.balance(BOB) == (6, 0, 0)


@pytest.mark.parametrize("other", [{"amount": "6"}, {"priority": 1}, {"expires_at": "2100-01-01T00:00:00Z"}])
async def test_the_same_external_id_with_another_grant_is_refused(api: Api, other: dict[str, object]):
    body = {"user_id": str(ALICE), "amount": "5", "external_id": "order-7"}
    assert (await api.grant(body)).status == 201
    assert (await api.grant({**body, **other})).refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["/external_id"])
    assert await api.balance() == (5, 0, 0)


async def test_the_same_idempotency_key_is_the_same_grant(api: Api):
    body = {"user_id": str(ALICE), "amount": "5"}
    first, second = [await api.grant(body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status, first.data) == (second.status, second.data)
    assert await api.balance() == (5, 0, 0)


@pytest.mark.parametrize("other", [{"amount": 6}, {"external_id": "order-8"}])
async def test_an_idempotency_key_of_another_grant_is_refused(api: Api, other: dict[str, object]):
    body = {"user_id": str(ALICE), "amount": 5}
    assert (await api.grant(body, headers={"Idempotency-Key": "k"})).status == 201
    again = await api.grant({**body, **other}, headers={"Idempotency-Key": "k"})
    assert again.refusal[:2] == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await api.balance() == (5, 0, 0)


async def test_grants_without_a_name_are_each_their_own(api: Api):
    await api.give("5")
    await api.give("5")
    assert await api.balance() == (10, 0, 0)


GRANT = {"user_id": str(ALICE), "amount": 1}
WRONG = {
    "no body": ("", ""),
    "no JSON": ("{", ""),
    "no object": ("[]", ""),
    "no user": ('{"amount": 1}', "/user_id"),
    "a user who is no uuid": ('{"user_id": "me", "amount": 1}', "/user_id"),
    "no amount": (f'{{"user_id": "{ALICE}"}}', "/amount"),
    "an amount of 0": ({**GRANT, "amount": 0}, "/amount"),
    "an amount below 0": ({**GRANT, "amount": -1}, "/amount"),
    "an amount with 7 decimals": (f'{{"user_id": "{ALICE}", "amount": 0.0000001}}', "/amount"),
    "an amount too large": ({**GRANT, "amount": 1000000001}, "/amount"),
    "an amount that would fill the memory": (f'{{"user_id": "{ALICE}", "amount": 1e999999999}}', "/amount"),
    "an amount that is not a number": ({**GRANT, "amount": "NaN"}, "/amount"),
    "an amount that is a word": ({**GRANT, "amount": "many"}, "/amount"),
    "an amount that is true": ({**GRANT, "amount": True}, "/amount"),
    "a priority that is no integer": ({**GRANT, "priority": 1.5}, "/priority"),
    "a priority below 0": ({**GRANT, "priority": -1}, "/priority"),
    "a priority beyond all bounds": ({**GRANT, "priority": 10**30}, "/priority"),
    "an expiry in the past": ({**GRANT, "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    "an expiry without its offset": ({**GRANT, "expires_at": "2100-01-01T00:00:00"}, "/expires_at"),
    "an expiry at the calendar's end": ({**GRANT, "expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
    "an expiry that is no time": ({**GRANT, "expires_at": "tomorrow"}, "/expires_at"),
    "an empty external id": ({**GRANT, "external_id": ""}, "/external_id"),
    "an external id without end": ({**GRANT, "external_id": "x" * 201}, "/external_id"),
    "a source that is a number": ({**GRANT, "source": 1}, "/source"),
    "an unknown field": ({**GRANT, "currency": "EUR"}, "/currency"),
}


async def test_a_wrong_grant_is_refused_with_its_pointer_and_changes_nothing(api: Api):
    answers = {
        what: (await api.grant(body if isinstance(body, str) else json.dumps(body))).refusal
        for what, (body, _) in WRONG.items()
    }
    assert answers == {what: (400, "VALIDATION_FAILED", [pointer]) for what, (_, pointer) in WRONG.items()}
    assert await api.runtime.store.head() == 0


async def test_only_operators_give_credits(api: Api):
    assert (await api.grant(GRANT, "user")).refusal == (403, "FORBIDDEN", [])
    assert (await api.send("POST", "/credits/grants", None, data="{}")).refusal == (401, "UNAUTHENTICATED", [])
    assert await api.runtime.store.head() == 0


@pytest.mark.parametrize("path", ["/credits", "/credits/entries"])
async def test_credits_need_a_token(api: Api, path: str):
    assert (await api.get(path, None)).refusal == (401, "UNAUTHENTICATED", [])


async def test_the_document_says_that_amounts_are_numbers(api: Api):
    document = (await api.get("/schema/openapi.json", None)).body
    schemas = document["components"]["schemas"]
    balance = schemas["BalanceView"]["properties"]
    assert {name: balance[name]["type"] for name in ("available", "held", "spent")} == {
        "available": "number",
        "held": "number",
        "spent": "number",
    }
    assert schemas["LimitsView"]["properties"]["left_today"]["type"] == ["number", "null"]
    assert schemas["NewGrant"]["properties"]["amount"]["type"] == ["number", "string"]
