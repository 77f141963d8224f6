"""What an account decides: which grants pay, what a job's hold may become, and what a repetition does (nothing)."""

from datetime import UTC, datetime

import pytest

from services.credits.domain.decisions import ReleaseOpenHold
from tests.unit.credits.short_forms import (
    JOB,
    LATER,
    NOW,
    OTHER_JOB,
    SOON,
    USER,
    A,
    B,
    C,
    account,
    capture,
    captured,
    declined,
    expired,
    give,
    granted,
    place,
    placed,
    release,
    released,
)

DECISIONS = {
    "a grant is given": ([], give(A, 5), [granted(A, 5)]),
    "a grant's expiry is recorded in UTC": (
        [],
        give(A, 5, expires=datetime.fromisoformat("2026-11-23T01:00:00+01:00")),
        [granted(A, 5, expires=datetime(2026, 11, 23, tzinfo=UTC))],
    ),
    "the same grant again is the one that exists": ([granted(A, 5)], give(A, 5), []),
    "the same grant again after its expiry is the one that exists": (
        [granted(A, 5, expires=SOON)],
        give(A, 5, expires=SOON, now=LATER),
        [],
    ),
    "a hold takes from the lowest priority number first": (
        [granted(A, 5, priority=2), granted(B, 5, priority=1)],
        place(6),
        [placed(6, (B, 5), (A, 1))],
    ),
    "then from the nearest expiry, and what never expires last": (
        [granted(A, 5), granted(B, 5, expires=LATER), granted(C, 5, expires=SOON)],
        place(11),
        [placed(11, (C, 5), (B, 5), (A, 1))],
    ),
    "then from the oldest": ([granted(B, 5), granted(A, 5)], place(6), [placed(6, (B, 5), (A, 1))]),
    "a hold may take everything": ([granted(A, 5)], place(5), [placed(5, (A, 5))]),
    "a job that costs nothing is held in an empty account": ([], place(0), [placed(0)]),
    "a hold is declined when less is available": ([granted(A, 5)], place(6), [declined(6, 5)]),
    "what another job holds is not available": (
        [granted(A, 5), placed(4, (A, 4), job=OTHER_JOB)],
        place(2),
        [declined(2, 1)],
    ),
    "the same hold again exists": ([granted(A, 5), placed(4, (A, 4))], place(4), []),
    "a captured hold isn't placed again": (
        [granted(A, 9), placed(4, (A, 4)), captured(4, (A, 4))],
        place(4),
        [],
    ),
    "a declined hold stays declined, also when credits have come": (
        [declined(4, 0), granted(A, 5)],
        place(4),
        [],
    ),
    "an expired grant is not available, and its end is recorded": (
        [granted(A, 5, expires=SOON)],
        place(1, now=SOON),
        [expired(A, 5), declined(1, 0)],
    ),
    "a repetition records no expiry either": (
        [granted(A, 5, expires=SOON), placed(2, (A, 2))],
        place(2, now=LATER),
        [],
    ),
    "a hold is captured in the order in which it was allocated, the rest goes back to its grants": (
        [granted(A, 5), granted(B, 5), granted(C, 5), placed(12, (A, 5), (B, 5), (C, 2))],
        capture(7),
        [captured(7, (A, 5), (B, 2)), released(5, (B, 3), (C, 2))],
    ),
    "a hold that is captured whole releases nothing": (
        [granted(A, 5), placed(5, (A, 5))],
        capture(5),
        [captured(5, (A, 5))],
    ),
    "capturing nothing releases the hold": ([granted(A, 5), placed(5, (A, 5))], capture(0), [released(5, (A, 5))]),
    "a hold of nothing is resolved too": ([placed(0)], capture(0), [released(0)]),
    "what goes back to an expired grant expires": (
        [granted(A, 5, expires=SOON), granted(B, 5), placed(7, (A, 5), (B, 2))],
        capture(1, now=LATER),
        [captured(1, (A, 1)), released(6, (A, 4), (B, 2)), expired(A, 4)],
    ),
    "what was held when its grant expired is still spent": (
        [granted(A, 5, expires=SOON), placed(4, (A, 4))],
        capture(4, now=LATER),
        [expired(A, 1), captured(4, (A, 4))],
    ),
    "the same capture again changes nothing": (
        [granted(A, 5), placed(5, (A, 5)), captured(3, (A, 3)), released(2, (A, 2))],
        capture(3),
        [],
    ),
    "a hold is released": ([granted(A, 5), placed(3, (A, 3))], release(), [released(3, (A, 3))]),
    "the same release again changes nothing": (
        [granted(A, 5), placed(3, (A, 3)), released(3, (A, 3))],
        release(),
        [],
    ),
    "releasing a declined hold changes nothing": ([declined(3, 0)], release(), []),
    "releasing for a job that never had a hold changes nothing": ([granted(A, 5)], release(), []),
    "an open hold is released though nothing will be captured of it": (
        [granted(A, 5), placed(3, (A, 3))],
        ReleaseOpenHold(USER, JOB, NOW),
        [released(3, (A, 3))],
    ),
    "a hold that is resolved stays as it is then": (
        [granted(A, 5), placed(3, (A, 3)), captured(3, (A, 3))],
        ReleaseOpenHold(USER, JOB, NOW),
        [],
    ),
    "the same grant again when it is used up": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5))],
        give(A, 5),
        [],
    ),
    "what was released can be held by another job": (
        [granted(A, 5), placed(5, (A, 5)), released(5, (A, 5))],
        place(5, job=OTHER_JOB),
        [placed(5, (A, 5), job=OTHER_JOB)],
    ),
}


@pytest.mark.parametrize(("history", "when", "then"), DECISIONS.values(), ids=DECISIONS.keys())
def test_an_account_decides(history, when, then):
    account(*history).when(when).then(*then)


REFUSALS = {
    "a grant that has expired already": ([], give(A, 5, expires=NOW), "VALIDATION_FAILED", "/expires_at"),
    "a grant that expires where the calendar ends": (
        [],
        give(A, 5, expires=datetime.fromisoformat("9999-12-31T23:00:00-14:00")),
        "VALIDATION_FAILED",
        "/expires_at",
    ),
    "grants beyond what a client's number can hold": (
        [granted(B, 8_000_000_000_000_000)],
        give(A, 1),
        "VALIDATION_FAILED",
        "/amount",
    ),
    "the same grant with another amount": ([granted(A, 5)], give(A, 6), "IDEMPOTENCY_KEY_REUSED", "/external_id"),
    "the same grant with another amount when it is used up": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5))],
        give(A, 6),
        "IDEMPOTENCY_KEY_REUSED",
        "/external_id",
    ),
    "a resolved hold with another amount": (
        [granted(A, 5), placed(4, (A, 4)), released(4, (A, 4))],
        place(5),
        "HOLD_AMOUNT_DIFFERS",
        None,
    ),
    "the same hold with another amount": (
        [granted(A, 5), placed(4, (A, 4))],
        place(5),
        "HOLD_AMOUNT_DIFFERS",
        None,
    ),
    "a declined hold with another amount": ([declined(4, 0)], place(5), "HOLD_AMOUNT_DIFFERS", None),
    "spending more than the hold": (
        [granted(A, 5), placed(4, (A, 4))],
        capture(5),
        "CAPTURE_EXCEEDS_HOLD",
        None,
    ),
    "spending without a hold": ([granted(A, 5)], capture(1), "HOLD_NOT_FOUND", None),
    "spending a declined hold": ([declined(4, 0)], capture(1), "HOLD_NOT_FOUND", None),
    "spending another amount of a resolved hold": (
        [granted(A, 5), placed(5, (A, 5)), captured(3, (A, 3)), released(2, (A, 2))],
        capture(4),
        "HOLD_RESOLVED",
        None,
    ),
    "releasing what was spent": (
        [granted(A, 5), placed(5, (A, 5)), captured(5, (A, 5))],
        release(),
        "HOLD_RESOLVED",
        None,
    ),
}


@pytest.mark.parametrize(("history", "when", "code", "pointer"), REFUSALS.values(), ids=REFUSALS.keys())
def test_an_account_refuses(history, when, code, pointer):
    account(*history).when(when).then_refused(code, *([pointer] if pointer else []))
