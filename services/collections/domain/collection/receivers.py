"""A collection's receivers: addresses with percentages of the sale of each token, or of its resales (royalties).

Percentages of the sale sum to 100 at most, those of royalties to MAX_ROYALTIES.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from services.collections.domain.addresses import checked_address
from services.collections.domain.collection.fields import decimal_text, decimals
from services.collections.domain.text import line_faults
from shared.contracts.collections import Purpose, SalesReceiver
from shared.contracts.problem import Detail, invalid

MAX_RECEIVERS = 100
MAX_TYPE = 50
MAX_NAME = 100
MAX_DECIMALS = 2
"""Chains count royalties in basis points (ERC-2981), hundredths of a percent."""
MAX_ROYALTIES = 25
"""Percent of a resale."""
SUMS: dict[Purpose, int] = {"sale": 100, "royalty": MAX_ROYALTIES}
"""The largest sum of percentages for each purpose."""

Role = Literal["creator", "collaborator", "curator", "platform", "charity", "other"]
ROLES: tuple[Role, ...] = get_args(Role)
CREATOR: Role = "creator"


class Share(msgspec.Struct, frozen=True):
    """A receiver as a client sends it. `value` is a percentage.

    `role`: without one, `creator` for the type `creator`, else `other`. `type`: without one, the role.
    """

    address: str
    value: Decimal
    type: str | None = None
    purpose: Purpose = "sale"
    name: str | None = None
    role: Role | None = None


class Receivers(msgspec.Struct, frozen=True):
    """Receivers in canonical form and in their order; on EVM chains, `royalty_receiver` takes all royalties."""

    receivers: list[SalesReceiver]
    royalty_receiver: str | None = None


def role_of(role: str | None, kind: str | None) -> str:
    """The role that was set, or else the one that the receiver's type says."""
    return role or (CREATOR if (kind or "").strip().lower() == CREATOR else "other")


def with_purposes(receivers: Sequence[SalesReceiver]) -> list[SalesReceiver]:
    """Receivers that say what they are of: those that an early release recorded are of the sale."""
    return [
        receiver
        if receiver.purpose is not None
        else msgspec.structs.replace(receiver, purpose="sale", role=role_of(receiver.role, receiver.type))
        for receiver in receivers
    ]


def checked_receivers(
    shares: Sequence[Share], blockchain: str | None, pointer: str, royalty_receiver: str | None = None
) -> Receivers:
    """The receivers in canonical form. An address may have one share of each purpose.

    Raises VALIDATION_FAILED with every fault.
    """
    faults: list[Detail] = []
    receivers: list[SalesReceiver] = []
    before: set[tuple[Purpose, str]] = set()
    if len(shares) > MAX_RECEIVERS:
        faults.append(Detail(pointer, f"a collection has at most {MAX_RECEIVERS} receivers"))
    for index, share in enumerate(shares[:MAX_RECEIVERS]):
        where = f"{pointer}/{index}"
        canonical, address_faults = _checked(share.address, blockchain, f"{where}/address")
        faults += [*address_faults, *_value_faults(share.value, f"{where}/value"), *_text_faults(share, where)]
        if (share.purpose, canonical) in before:
            message = f"{canonical} appears twice among the receivers of the {share.purpose}"
            faults.append(Detail(f"{where}/address", message))
        before.add((share.purpose, canonical))
        if not faults:
            receivers.append(_receiver(share, canonical))
    if not faults:
        faults += _sum_faults(shares, pointer)
    splitter = None
    if royalty_receiver is not None:
        splitter, splitter_faults = _checked_splitter(royalty_receiver, shares, blockchain)
        faults += splitter_faults
    if faults:
        raise invalid(f"The receivers can't be set: {faults[0].message}", *faults)
    return Receivers(receivers, splitter)


def _receiver(share: Share, address: str) -> SalesReceiver:
    role = role_of(share.role, share.type)
    kind = role if share.type is None else share.type
    return SalesReceiver(address, decimal_text(share.value), kind, share.purpose, share.name, role)


def _checked(address: str, blockchain: str | None, pointer: str) -> tuple[str, list[Detail]]:
    """The address in canonical form if it has one, and its faults."""
    try:
        return checked_address(address, blockchain), []
    except ValueError as error:
        return address, [Detail(pointer, str(error))]


def _checked_splitter(address: str, shares: Sequence[Share], blockchain: str | None) -> tuple[str | None, list[Detail]]:
    pointer = "/royalty_receiver"
    if not any(share.purpose == "royalty" for share in shares):
        message = "receives the royalties, and no receiver has the purpose `royalty`: add those who share them"
        return None, [Detail(pointer, message)]
    if blockchain == "TEZOS":
        message = "is for EVM chains, whose contracts name one receiver; a token on Tezos names all: leave it out"
        return None, [Detail(pointer, message)]
    return _checked(address, blockchain or "ETHEREUM", pointer)


def _value_faults(value: Decimal, where: str) -> Iterator[Detail]:
    if not value.is_finite() or not 0 < value <= 100:
        yield Detail(where, "a receiver's value is a percentage, more than 0 and at most 100")
    elif decimals(value) > MAX_DECIMALS:
        yield Detail(where, f"a receiver's value has at most {MAX_DECIMALS} decimals: chains count in basis points")


def _text_faults(share: Share, where: str) -> Iterator[Detail]:
    """Metadata shows a name before an address in angle brackets, in one line."""
    if share.type is not None:
        yield from line_faults(share.type, f"{where}/type", "a receiver's type", MAX_TYPE)
    if share.name is not None:
        faults = line_faults(share.name, f"{where}/name", "a receiver's name", MAX_NAME)
        if not faults and any(letter in "<>" or not letter.isprintable() for letter in share.name):
            faults = [Detail(f"{where}/name", "a receiver's name is one line without < and >")]
        yield from faults


def _sum_faults(shares: Sequence[Share], pointer: str) -> Iterator[Detail]:
    for purpose, most in SUMS.items():
        total = sum((share.value for share in shares if share.purpose == purpose), Decimal(0))
        if total > most:
            what = "receivers' percentages of the sale" if purpose == "sale" else "royalties"
            yield Detail(pointer, f"the {what} sum to {decimal_text(total)} %, more than {most} %")
