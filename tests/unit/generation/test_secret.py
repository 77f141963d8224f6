"""A secret's events name it, and never its value."""

import pytest

from services.generation.domain.secret import DeleteSecret, Secret, SetSecret, decide, evolve, secret_id
from services.generation.domain.secret.commands import check_secret
from shared.contracts.generation import SecretDeleted, SecretSet
from shared.contracts.problem import Problem
from tests.support.specification import Aggregate

SECRETS = Aggregate(Secret(), evolve, decide)
ID = secret_id("KEY")


def test_each_value_has_a_number_of_its_own():
    first = SECRETS.given().when(SetSecret("KEY", 1, "olga"))
    first.then(SecretSet(ID, "KEY", 1, "olga"))
    first.when(SetSecret("KEY", 2, "olga")).then(SecretSet(ID, "KEY", 2, "olga"))


def test_two_who_set_it_at_once_are_told():
    SECRETS.given(SecretSet(ID, "KEY", 1, "olga")).when(SetSecret("KEY", 1, "otto")).then_refused("CONFLICT")


def test_a_deleted_secret_is_gone_and_its_numbers_are_not_used_again():
    deleted = SECRETS.given(SecretSet(ID, "KEY", 1, "olga")).when(DeleteSecret("KEY", "otto"))
    deleted.then(SecretDeleted(ID, "KEY", "otto"))
    history = SECRETS.given(SecretSet(ID, "KEY", 1, "olga"), SecretDeleted(ID, "KEY", "otto"))
    history.when(DeleteSecret("KEY", "otto")).then_refused("NOT_FOUND")
    history.when(SetSecret("KEY", 1, "olga")).then_refused("CONFLICT")


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x" * 8), ("1KEY", "x" * 8), ("A B", "x" * 8), ("KEY", "short"), ("KEY", "x" * 8193), ("KEY", "two\nlines-")],
)
def test_what_can_t_be_a_secret_is_refused_without_saying_it(name, value):
    with pytest.raises(Problem) as problem:
        check_secret(name, value)
    assert value not in problem.value.detail
