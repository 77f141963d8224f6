"""The receivers of a collection's sales: addresses with percentages, which sum to 100 at most."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from services.collections.domain.addresses import checked_address
from services.collections.domain.collection.fields import decimal_text, decimals
from services.collections.domain.text import line_faults
from shared.contracts.collections import SalesReceiver
from shared.contracts.problem import Detail, invalid

MAX_RECEIVERS = 100
MAX_TYPE = 50
MAX_DECIMALS = 2
"""Chains count royalties in basis points (ERC-2981), hundredths of a percent."""

Share = tuple[str, Decimal, str]
"""(address, percent, type) as a client sends it."""


def checked_receivers(shares: Sequence[Share], blockchain: str | None, pointer: str) -> list[SalesReceiver]:
    """The receivers in canonical form and in their order. Raises VALIDATION_FAILED with every fault."""
    faults: list[Detail] = []
    receivers: list[SalesReceiver] = []
    addresses: set[str] = set()
    if len(shares) > MAX_RECEIVERS:
        faults.append(Detail(pointer, f"a collection has at most {MAX_RECEIVERS} receivers"))
    for index, (address, value, kind) in enumerate(shares[:MAX_RECEIVERS]):
        where = f"{pointer}/{index}"
        canonical = address
        try:
            canonical = checked_address(address, blockchain)
        except ValueError as error:
            faults.append(Detail(f"{where}/address", str(error)))
        faults.extend(_value_faults(value, f"{where}/value"))
        faults.extend(line_faults(kind, f"{where}/type", "a receiver's type", MAX_TYPE))
        if canonical in addresses:
            faults.append(Detail(f"{where}/address", f"{canonical} appears twice"))
        addresses.add(canonical)
        if not faults:
            receivers.append(SalesReceiver(canonical, decimal_text(value), kind))
    if not faults:
        total = sum((value for _, value, _ in shares), Decimal(0))
        if total > 100:
            faults.append(Detail(pointer, f"the receivers' percentages sum to {decimal_text(total)}, more than 100"))
    if faults:
        raise invalid(f"The receivers can't be set: {faults[0].message}", *faults)
    return receivers


def _value_faults(value: Decimal, where: str) -> Iterator[Detail]:
    if not value.is_finite() or not 0 < value <= 100:
        yield Detail(where, "a receiver's value is a percentage, more than 0 and at most 100")
    elif decimals(value) > MAX_DECIMALS:
        yield Detail(where, f"a receiver's value has at most {MAX_DECIMALS} decimals: chains count in basis points")
