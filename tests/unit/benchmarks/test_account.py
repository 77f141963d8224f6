"""The account of the benchmark is one that the credits service could have."""

from datetime import UTC, datetime
from functools import reduce
from uuid import uuid4

from benchmarks.account import AMOUNT, COMMANDS, history
from services.credits.domain.account import Account, evolve


def test_its_history_folds_and_leaves_what_the_measured_commands_spend():
    account = reduce(evolve, history(uuid4(), 20), Account())
    assert account.available(datetime.now(UTC)) >= AMOUNT * COMMANDS


def test_it_has_as_many_grants_and_holds_as_asked_for():
    names = [type(event).__name__ for event in history(uuid4(), 20)]
    assert names.count("HoldPlaced") == names.count("HoldCaptured") == 10
    assert names.count("CreditsGranted") == 11
