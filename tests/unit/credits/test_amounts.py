"""Amounts pass between JSON numbers and micro-credits without ever being a binary float."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.credits.domain.amounts import ACCOUNT_LIMIT, to_micro
from shared.contracts.amounts import to_credits
from shared.contracts.problem import Problem


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("1", 1_000_000),
        ("0.25", 250_000),
        ("0.000123", 123),
        ("1e3", 1_000_000_000),
        ("1e-6", 1),
        ("0.1000000000000000000", 100_000),
        ("1000000000", 10**15),
        ('"0.3"', 300_000),
    ],
)
def test_a_number_token_or_a_string_is_read_exactly(text, micro):
    assert to_micro(msgspec.json.decode(text, type=Decimal), "/amount") == micro


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "greater than 0"),
        ("-1", "greater than 0"),
        ("-1e-999999999", "greater than 0"),
        ("0.0000001", "6 decimals"),
        ("1.0000001", "6 decimals"),
        ("0." + "1" * 500, "6 decimals"),
        ("1e-999999999", "6 decimals"),
        ("1000000000.000001", "at most 1000000000"),
        ("1e999999999", "at most 1000000000"),
        ('"NaN"', "decimal number"),
        ('"sNaN"', "decimal number"),
        ('"Infinity"', "decimal number"),
    ],
)
def test_an_amount_that_cannot_be_held_exactly_is_refused_with_its_pointer(text, says):
    with pytest.raises(Problem) as refused:
        to_micro(msgspec.json.decode(text, type=Decimal), "/amount")
    assert refused.value.code == "VALIDATION_FAILED"
    assert [detail.pointer for detail in refused.value.details] == ["/amount"]
    assert says in refused.value.details[0].message


@given(st.integers(min_value=-ACCOUNT_LIMIT, max_value=ACCOUNT_LIMIT))
def test_every_balance_survives_its_way_through_a_clients_json_number(micro):
    """A client that reads the number as a double gets the same six decimals back."""
    encoding = msgspec.json.Encoder(decimal_format="number").encode(to_credits(micro))
    assert b"e" not in encoding.lower()
    assert Decimal(encoding.decode()) * 1_000_000 == micro
    assert f"{float(encoding):.6f}" == f"{to_credits(micro):.6f}"


@given(st.integers(min_value=1, max_value=10**15))
def test_what_is_written_is_read_as_the_same_amount(micro):
    encoding = msgspec.json.Encoder(decimal_format="number").encode(to_credits(micro))
    assert to_micro(msgspec.json.decode(encoding, type=Decimal), "/amount") == micro
