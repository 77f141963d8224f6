"""Statements: what was recorded, with its cause and the true balance after it, in each form; and earlier balances."""

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.credits import queries
from shared.contracts.generation import JobPartiallyCompleted
from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.credits import OPERATOR, Api, requested
from tests.support.publishing import Publisher

CREDIT = 1_000_000
DANGEROUS = '=HYPERLINK("http://evil.example","x"), "y"\n<script>alert(1)</script>'


async def lived(api: Api, generation: Publisher) -> tuple[UUID, UUID]:
    """A grant of 10, a job that cost 3 of 5, another of 1 that is held, and a grant with a dangerous external id."""
    await api.give("10", source="shop", external_id="order 1")
    job, other = uuid4(), uuid4()
    await generation.publish(job, requested(job, 5 * CREDIT))
    await generation.publish(job, JobPartiallyCompleted(job, ALICE, captured=3 * CREDIT, failed=1))
    await api.settled(("7", "0", "3"))
    await generation.publish(other, requested(other, CREDIT))
    await api.settled(("6", "1", "3"))
    await api.give("0.000001", external_id=DANGEROUS)
    return job, other


async def entries(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.get(f"/credits/entries?{query}")
    return list(answer.data)


async def as_operator(api: Api, path: str) -> Answer:
    return await api.send("GET", path, OPERATOR, "operator")


async def test_entries_are_chosen_by_kind_job_and_time_and_keep_their_balance(api: Api, generation: Publisher):
    job, other = await lived(api, generation)
    every = await entries(api)
    assert [(entry["kind"], entry["change"], entry["balance_after"]) for entry in every] == [
        ("granted", Decimal("0.000001"), Decimal("6.000001")),
        ("held", -1, 6),
        ("released", 2, 7),
        ("captured", 0, 5),
        ("held", -5, 5),
        ("granted", 10, 10),
    ]
    assert await entries(api, "kind=held") == [every[1], every[4]]
    assert await entries(api, f"job_id={other}") == [every[1]]
    assert await entries(api, f"kind=held&job_id={job}") == [every[4]]
    middle = every[2]["recorded_at"]
    time = middle.replace("+", "%2B")
    assert await entries(api, f"since={time}") == [entry for entry in every if entry["recorded_at"] >= middle]
    assert await entries(api, f"until={time}") == [entry for entry in every if entry["recorded_at"] < middle]
    assert await entries(api, f"since={time}&until={time}") == []
    assert await entries(api, "kind=held&limit=1") == [every[1]]


async def test_every_entry_shows_its_cause(api: Api, generation: Publisher):
    job, _ = await lived(api, generation)
    granted, held = (await entries(api))[-1], (await entries(api, f"job_id={job}"))[-1]
    assert (granted["source"], granted["external_id"], granted["actor"]) == ("shop", "order 1", "operator")
    assert UUID(granted["grant_id"])
    assert (held["job_id"], held["hold_id"], held["actor"]) == (str(job), str(job), "credits-jobs-v2")
    entry = (await as_operator(api, f"/credits/entries?user_id={ALICE}")).data[-1]
    assert entry == {**granted, "actor": f"user:{OPERATOR}"}, "operators see which of them it was"


async def test_a_statement_as_csv_has_all_entries_exactly(api: Api, generation: Publisher):
    await lived(api, generation)
    answer = await api.get("/credits/entries?format=csv&limit=1")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    every = await entries(api)
    assert [line["kind"] for line in lines] == [entry["kind"] for entry in every]
    assert (lines[0]["amount"], lines[0]["balance_after"], lines[1]["change"]) == ("0.000001", "6.000001", "-1")
    assert lines[0]["external_id"] == f"'{DANGEROUS}", "no formula, and quotes and lines as they are"
    assert answer.text.count("\r\n") == len(every) + 1
    part = csv.DictReader(io.StringIO((await api.get("/credits/entries?format=csv&kind=held")).text))
    assert [line["kind"] for line in part] == ["held", "held"]


async def test_a_statement_of_many_pages_is_whole(api: Api, monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        await api.give("1", external_id=str(number))
    monkeypatch.setattr(queries, "PAGE", 2)
    answer = await api.get("/credits/entries?format=csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["balance_after"] for line in lines] == ["3", "2", "1"]


async def test_a_statement_as_a_page_has_sums_and_no_scripts(api: Api, generation: Publisher):
    await lived(api, generation)
    answer = await api.get("/credits/entries?format=html")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text, "texts are escaped"
    assert answer.text.count("<dt>available before</dt><dd>0</dd>") == 2, "at the top and at the end"
    assert answer.text.count("<dt>available after</dt><dd>6.000001</dd>") == 2
    assert answer.text.count("<dt>granted (2)</dt><dd>10.000001</dd>") == 2
    assert answer.text.count("<tr>") == 7
    part = (await api.get("/credits/entries?format=html&kind=held")).text
    assert "<dt>held (2)</dt><dd>6</dd>" in part
    assert "available before" not in part, "the balance is of all kinds"
    assert "No entries" in (await api.get("/credits/entries?format=html", BOB)).text


async def test_the_balance_as_of_any_moment(api: Api, generation: Publisher):
    await lived(api, generation)
    every = [*reversed(await entries(api))]
    times = [entry["recorded_at"] for entry in every]
    expected = {0: (10, 0, 0), 1: (5, 5, 0), 3: (7, 0, 3), 4: (6, 1, 3), 5: (Decimal("6.000001"), 1, 3)}
    for place, amounts in expected.items():
        balance = (await api.get(f"/credits?at={times[place].replace('+', '%2B')}")).data
        assert (balance["available"], balance["held"], balance["spent"]) == amounts, place
    before = (datetime.fromisoformat(times[0]) - timedelta(microseconds=1)).isoformat().replace("+", "%2B")
    nothing = {"available": 0, "held": 0, "spent": 0, "limits": None, "is_low": None}
    assert (await api.get(f"/credits?at={before}")).data == nothing
    assert (await api.get(f"/credits?at={before}", BOB)).data == nothing


async def test_a_balance_as_of_a_moment_is_without_what_had_expired_then(api: Api):
    """Also while the ledger has not recorded the expiry."""
    now = api.runtime.clock()
    await api.give("5", expires_at=(now + timedelta(hours=1)).isoformat())
    await api.give("1")
    read = queries.Queries(api.runtime.store).balance_at
    assert (await read(ALICE, now + timedelta(minutes=59))).available == 6
    assert (await read(ALICE, now + timedelta(hours=1))).available == 1


@pytest.mark.parametrize("path", ["/credits", "/credits/entries", "/credits/entries?format=csv"])
async def test_operators_read_any_account_and_others_only_their_own(api: Api, path: str):
    await api.give("5")
    sign = "&" if "?" in path else "?"
    assert (await api.get(f"{path}{sign}user_id={ALICE}", BOB)).refusal == (403, "FORBIDDEN", ["?user_id"])
    own = await api.get(f"{path}{sign}user_id={ALICE}")
    assert own.status == 200
    assert own.text == (await api.get(path)).text
    read = await as_operator(api, f"{path}{sign}user_id={ALICE}")
    assert read.status == 200
    assert read.text != (await as_operator(api, path)).text


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("/credits/entries?kind=lost", "?kind"),
        ("/credits/entries?since=yesterday", "?since"),
        ("/credits/entries?until=2026-01-01T00:00:00", "?until"),
        ("/credits/entries?format=pdf", "?format"),
        ("/credits/entries?format=csv&cursor=5", "?cursor"),
        ("/credits/entries?user_id=me", "?user_id"),
        ("/credits?at=2999-01-01T00:00:00Z", "?at"),
        ("/credits?at=then", "?at"),
    ],
)
async def test_wrong_conditions_are_refused_with_their_pointer(api: Api, query: str, pointer: str):
    assert (await api.get(query)).refusal == (400, "VALIDATION_FAILED", [pointer])
