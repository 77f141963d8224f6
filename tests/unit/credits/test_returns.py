"""Reversals take back what a grant has available; refunds give back what a job captured, once."""

import pytest

from tests.unit.credits.short_forms import (
    LATER,
    OTHER_JOB,
    SOON,
    A,
    B,
    C,
    account,
    captured,
    expired,
    granted,
    placed,
    refund,
    refunded,
    released,
    reverse,
    reversed_,
)

DECISIONS = {
    "a reversal takes back what is available": (
        [granted(A, 5), placed(3, (A, 3))],
        reverse(amount=4),
        [reversed_(2, 2, 4)],
    ),
    "a reversal without an amount takes back all that is left, and misses what is held": (
        [granted(A, 5), placed(3, (A, 3))],
        reverse(),
        [reversed_(2, 3)],
    ),
    "a reversal leaves other grants alone": (
        [granted(A, 5), granted(B, 5)],
        reverse(amount=2, grant_id=B),
        [reversed_(2, 0, 2, B)],
    ),
    "a reversal of what was spent takes back nothing, for good": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5))],
        reverse(amount=5),
        [reversed_(0, 5, 5)],
    ),
    "a reversal of an expired grant takes back nothing, and the expiry is recorded": (
        [granted(A, 5, expires=SOON)],
        reverse(amount=5, now=LATER),
        [expired(A, 5), reversed_(0, 5, 5)],
    ),
    "the same reversal again changes nothing, also when credits have come back": (
        [granted(A, 5), placed(3, (A, 3)), reversed_(2, 3), released(3, (A, 3))],
        reverse(),
        [],
    ),
    "a refund is a grant with its job": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5))],
        refund(3),
        [refunded(3)],
    ),
    "the same refund again changes nothing, also when it is spent": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5)), refunded(5), placed(5, (C, 5), job=OTHER_JOB)],
        refund(5),
        [],
    ),
}


@pytest.mark.parametrize(("history", "when", "then"), DECISIONS.values(), ids=DECISIONS.keys())
def test_an_account_gives_and_takes_back(history, when, then):
    account(*history).when(when).then(*then)


REFUSALS = {
    "a reversal of an unknown grant": ([granted(A, 5)], reverse(grant_id=B), "NOT_FOUND", "/user_id"),
    "a reversal of more than was granted": ([granted(A, 5)], reverse(amount=6), "VALIDATION_FAILED", "/amount"),
    "the same reversal with another amount": (
        [granted(A, 5), reversed_(2, 0, 2)],
        reverse(amount=3),
        "IDEMPOTENCY_KEY_REUSED",
        "/external_id",
    ),
    "the same reversal of another grant": (
        [granted(A, 5), granted(B, 5), reversed_(2, 0, 2)],
        reverse(amount=2, grant_id=B),
        "IDEMPOTENCY_KEY_REUSED",
        "/external_id",
    ),
    "a refund of more than is left of what was captured": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5)), refunded(3, grant_id=B)],
        refund(3),
        "REFUND_EXCEEDS_CAPTURE",
        "/amount",
    ),
    "a refund of a job that captured nothing": (
        [granted(A, 5), placed(5, (A, 5)), released(5, (A, 5))],
        refund(1),
        "NOT_FOUND",
        "/job_id",
    ),
    "the same refund with another amount": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5)), refunded(3)],
        refund(2),
        "IDEMPOTENCY_KEY_REUSED",
        "/external_id",
    ),
}


@pytest.mark.parametrize(("history", "when", "code", "pointer"), REFUSALS.values(), ids=REFUSALS.keys())
def test_an_account_refuses_to(history, when, code, pointer):
    account(*history).when(when).then_refused(code, pointer)
