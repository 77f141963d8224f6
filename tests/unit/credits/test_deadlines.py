"""A hold past its deadline is asked about, once until it is time to ask again; what generation answers decides."""

from datetime import timedelta

import pytest

from services.credits.domain.account import Account, evolve
from services.credits.domain.closed import outcome_after
from services.credits.domain.deadlines import ExtendHold, QuestionHold
from services.credits.domain.decisions import PlaceHold, ReleaseOpenHold, decide
from shared.contracts.credits import Allocation, HoldExtended, HoldPlaced, HoldQuestioned
from tests.support.specification import Aggregate
from tests.unit.credits.short_forms import DAY, JOB, LATER, NOW, SOON, USER, A, captured, granted, placed, released

FIRST_RESUME = JOB.__class__(int=300)
MUCH_LATER = LATER + timedelta(days=1)
GRANT = granted(A, 5)
PLACED = HoldPlaced(JOB, USER, 5, [Allocation(A, 5)], None, SOON.isoformat(), DAY)
ASKED = HoldQuestioned(JOB, USER, MUCH_LATER.isoformat())


def ask(now=LATER, again=MUCH_LATER, hold_id=None):
    return QuestionHold(USER, JOB, now, again, hold_id)


CASES = {
    "a hold is placed with its deadline": ([GRANT], PlaceHold(USER, JOB, 5, NOW, deadline=SOON), [PLACED]),
    "a hold before its deadline is left alone": ([GRANT, PLACED], ask(now=NOW), []),
    "a hold at its deadline is asked about": ([GRANT, PLACED], ask(now=SOON), [ASKED]),
    "a hold that was asked about is not asked about again yet": ([GRANT, PLACED, ASKED], ask(), []),
    "without an answer it is asked about again, and stays": (
        [GRANT, PLACED, ASKED],
        ask(now=MUCH_LATER, again=MUCH_LATER + timedelta(hours=1)),
        [HoldQuestioned(JOB, USER, (MUCH_LATER + timedelta(hours=1)).isoformat())],
    ),
    "a hold of an early release, without a deadline, is asked about when the watchdog says so": (
        [GRANT, placed(5, (A, 5))],
        ask(),
        [ASKED],
    ),
    "a hold whose job is open gets a new deadline": (
        [GRANT, PLACED, ASKED],
        ExtendHold(USER, JOB, MUCH_LATER),
        [HoldExtended(JOB, USER, MUCH_LATER.isoformat())],
    ),
    "an extended hold is not overdue": (
        [GRANT, PLACED, ASKED, HoldExtended(JOB, USER, (MUCH_LATER + timedelta(1)).isoformat())],
        ask(now=MUCH_LATER),
        [],
    ),
    "a hold whose job is gone is released": (
        [GRANT, PLACED, ASKED],
        ReleaseOpenHold(USER, JOB, LATER),
        [released(5, (A, 5))],
    ),
    "a resolved hold is not asked about": ([GRANT, PLACED, captured(5, (A, 5))], ask(), []),
    "a resolved hold is not extended": ([GRANT, PLACED, captured(5, (A, 5))], ExtendHold(USER, JOB, MUCH_LATER), []),
    "a hold of a resume is asked about by its id": (
        [GRANT, HoldPlaced(JOB, USER, 5, [Allocation(A, 5)], FIRST_RESUME, SOON.isoformat(), DAY)],
        ask(hold_id=FIRST_RESUME),
        [HoldQuestioned(JOB, USER, MUCH_LATER.isoformat(), FIRST_RESUME)],
    ),
}


@pytest.mark.parametrize(("history", "when", "then"), CASES.values(), ids=CASES.keys())
def test_an_overdue_hold(history, when, then):
    def decide_with_closed(command, state):
        return decide(command, state, hold=outcome_after(None, history, JOB))

    Aggregate(Account(), evolve, decide_with_closed).given(*history).when(when).then(*then)
