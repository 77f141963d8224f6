"""Valid and mistyped addresses. The valid ones are the examples of EIP-55, and accounts on Tezos mainnet."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain.addresses import checked_address

EVM = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
]
TEZOS = [
    "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb",
    "tz2TSvNTh2epDMhZHrw73nV9piBX7kLZ9K9m",
    "tz3RDC3Jdn4j15J7bBHZd29EUee9gVB1CxD9",
    "tz4HVR6aty9KwsQFHh81C1G7gBdhxT8kuytm",
    "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn",
]


@pytest.mark.parametrize("address", [*EVM, *TEZOS])
def test_a_canonical_address_is_unchanged(address):
    assert checked_address(address) == address


@pytest.mark.parametrize("address", EVM)
def test_an_evm_address_without_a_checksum_gets_one(address):
    assert checked_address(address.lower(), "BASE") == address
    assert checked_address("0x" + address[2:].upper(), "ETHEREUM") == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed", "checksum"),
        ("0x" + "0" * 40, "zero address"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "neither"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "neither"),
        ("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjc", "checksum"),
        ("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcj", "short"),
        ("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjbb", "long"),
        ("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcj0", "not in a Tezos address"),
        ("tz5VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", "neither"),
        ("x" * 1_000_000, "at most"),
        ("", "neither"),
    ],
)
def test_other_addresses_are_refused_with_a_reason(address, why):
    with pytest.raises(ValueError, match=why):
        checked_address(address)


def test_an_address_of_another_chain_is_refused():
    for address, blockchain in ((EVM[0], "TEZOS"), (TEZOS[0], "ETHEREUM"), (TEZOS[0], "BASE")):
        with pytest.raises(ValueError, match="address"):
            checked_address(address, blockchain)


@given(st.text(max_size=70))
def test_any_text_is_an_address_or_is_refused_with_a_reason(text):
    """An invalid address raises ValueError only."""
    with contextlib.suppress(ValueError):
        assert checked_address(checked_address(text)) == checked_address(text)
