"""Shares of sales and royalties: what is refused, what is a warning, and what they meant in early releases."""

from decimal import Decimal
from functools import reduce

import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection.editing import SetReceivers
from services.collections.domain.collection.publication_faults import faults_on
from services.collections.domain.collection.receivers import Share
from services.collections.domain.collection.royalties import (
    chain_warnings,
    creators,
    receiver_warnings,
    royalty_receivers,
    sale_receivers,
)
from services.collections.domain.collection.state import Collection
from shared.contracts import collections as events
from shared.contracts.event import Event
from tests.unit.collections.specification import ALICE, COLLECTION, PROJECT, SELLABLE, SERIES, created, given

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER_EVM = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
SPLITTER = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
TEZOS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
BAKERY = "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn"
EARLY = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z", SERIES)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z", SERIES, 1)
EARLY_RECEIVERS = events.ReceiversSet(
    COLLECTION, [events.SalesReceiver(EVM, "97.5", "artist"), events.SalesReceiver(OTHER_EVM, "2.5", "Creator")]
)
"""As an early release recorded them: without a purpose and a role."""


def share(address: str, value: str, purpose: events.Purpose = "royalty", **members) -> Share:
    return Share(address, Decimal(value), purpose=purpose, **members)


def receive(*shares: Share, splitter: str | None = None) -> SetReceivers:
    return SetReceivers(ALICE, PROJECT, shares, splitter)


def state_after(*history: Event, **fields) -> Collection:
    return reduce(collection.evolve, [*created(**{**SELLABLE, **fields}), *history], collection.NOTHING)


def with_royalties(*values: str, splitter: str | None = None, role: str = "creator", **fields) -> Collection:
    receivers = [
        events.SalesReceiver(address, value, role, "royalty", None, role)
        for address, value in zip((EVM, OTHER_EVM, SPLITTER), values, strict=False)
    ]
    return state_after(events.ReceiversSet(COLLECTION, receivers, splitter), **fields)


def pointers(details) -> list[str]:
    return [detail.pointer for detail in details]


def addresses(receivers) -> list[str]:
    return [receiver.address for receiver in receivers]


def test_sales_and_royalties_are_recorded_apart():
    """The same address may have a share of each; the name and the role stay."""
    command = receive(
        share(EVM, "95", "sale", name="Ada", role="creator"),
        share(EVM.lower(), "7.50", name="Ada", role="creator"),
        share(OTHER_EVM, "2.5", type="gallery"),
        splitter=SPLITTER.lower(),
    )
    receivers = [
        events.SalesReceiver(EVM, "95", "creator", "sale", "Ada", "creator"),
        events.SalesReceiver(EVM, "7.5", "creator", "royalty", "Ada", "creator"),
        events.SalesReceiver(OTHER_EVM, "2.5", "gallery", "royalty", None, "other"),
    ]
    recorded = events.ReceiversSet(COLLECTION, receivers, SPLITTER)
    given(collection, *created()).when(command).then(recorded)
    given(collection, *created(), recorded).when(command).then_nothing_happens()
    state = state_after(recorded)
    assert addresses(sale_receivers(state)) == [EVM]
    assert addresses(royalty_receivers(state)) == [EVM, OTHER_EVM]
    assert [(receiver.address, receiver.name) for receiver in creators(state)] == [(EVM, "Ada")]


@pytest.mark.parametrize(
    ("role", "kind", "recorded"),
    [
        (None, None, ("other", "other")),
        (None, "creator", ("creator", "creator")),
        (None, " Creator", ("creator", " Creator")),
        (None, "artist", ("other", "artist")),
        ("platform", "creator", ("platform", "creator")),
        ("curator", None, ("curator", "curator")),
    ],
)
def test_a_receiver_without_a_role_has_that_of_its_type(role, kind, recorded):
    """So clients that send only a type `creator` are creators in metadata, as before."""
    (event,) = given(collection, *created()).when(receive(share(EVM, "5", type=kind, role=role))).outcome
    assert [(receiver.role, receiver.type) for receiver in event.receivers] == [recorded]


def test_royalties_above_25_percent_in_sum_are_refused():
    """Sales and royalties are summed apart."""
    most = receive(share(EVM, "20"), share(OTHER_EVM, "5"), share(EVM, "100", "sale"))
    assert given(collection, *created()).when(most).outcome
    command = receive(share(EVM, "20"), share(OTHER_EVM, "5.01"), share(EVM, "60", "sale"), share(TEZOS, "41", "sale"))
    sale, royalty = (
        given(collection, *created()).when(command).then_refused("VALIDATION_FAILED", "/receivers", "/receivers")
    )
    assert "of the sale sum to 101 %, more than 100 %" in sale.message
    assert "the royalties sum to 25.01 %, more than 25 %" in royalty.message


def test_an_address_has_one_share_of_each_purpose():
    command = receive(share(EVM, "1"), share(EVM, "1", "sale"), share(EVM.lower(), "1"))
    (fault,) = given(collection, *created()).when(command).then_refused("VALIDATION_FAILED", "/receivers/2/address")
    assert "among the receivers of the royalty" in fault.message


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "Ada <x>", "Ada\nEve", "A\0da", "Ada\u202eEve"])
def test_a_name_is_one_line_without_angle_brackets(name):
    """Metadata shows it as `Name <address>`."""
    command = receive(share(EVM, "1", name=name))
    given(collection, *created()).when(command).then_refused("VALIDATION_FAILED", "/receivers/0/name")


@pytest.mark.parametrize(
    ("shares", "splitter", "blockchain"),
    [
        ([share(EVM, "5")], "0x12", "BASE"),
        ([share(EVM, "5")], TEZOS, "BASE"),
        ([share(EVM, "5")], TEZOS, None),
        ([share(EVM, "5")], "0x" + "0" * 40, None),
        ([share(TEZOS, "5")], SPLITTER, "TEZOS"),
        ([share(EVM, "5", "sale")], SPLITTER, "BASE"),
        ([], SPLITTER, "BASE"),
    ],
)
def test_a_royalty_receiver_is_an_evm_address_for_royalties(shares, splitter, blockchain):
    history = created(**({"blockchain": blockchain} if blockchain else {}))
    command = receive(*shares, splitter=splitter)
    given(collection, *history).when(command).then_refused("VALIDATION_FAILED", "/royalty_receiver")


def test_a_royalty_receiver_is_removed_with_the_next_receivers_without_one():
    state = state_after(
        events.ReceiversSet(COLLECTION, [], SPLITTER), events.ReceiversSet(COLLECTION, EARLY_RECEIVERS.receivers)
    )
    assert state.royalty_receiver is None


def test_a_royalty_receiver_keeps_a_collection_from_another_kind_of_chain():
    state = with_royalties("5", splitter=SPLITTER)
    assert pointers(faults_on("BASE", state)) == []
    assert pointers(faults_on("TEZOS", state)) == ["/receivers/0/address", "/royalty_receiver"]


@pytest.mark.parametrize(("values", "count"), [(["10"], 0), (["10.01"], 1), (["9", "1"], 0), (["9", "1.01"], 1)])
def test_royalties_above_10_percent_are_a_warning(values, count):
    details = list(receiver_warnings(with_royalties(*values)))
    assert pointers(details) == ["/receivers"] * count
    assert all("% of resales" in detail.message for detail in details)


def test_several_royalties_without_one_receiver_are_a_warning_on_evm():
    """ERC-2981 names one. On Tezos each token names all."""
    for chain in ("ETHEREUM", "BASE"):
        assert pointers(chain_warnings(chain, with_royalties("3"))) == []
        assert pointers(chain_warnings(chain, with_royalties("3", "2"))) == ["/royalty_receiver"]
        assert pointers(chain_warnings(chain, with_royalties("3", "2", splitter=SPLITTER))) == []
    assert pointers(chain_warnings("TEZOS", with_royalties("3", "2"))) == []


def test_receivers_without_a_creator_are_a_warning_on_tezos():
    assert pointers(chain_warnings("TEZOS", with_royalties("3", role="platform"))) == ["/receivers"]
    assert pointers(chain_warnings("BASE", with_royalties("3", role="platform"))) == []
    assert pointers(chain_warnings("TEZOS", state_after())) == []


def test_early_receivers_of_a_draft_are_of_the_sale_and_say_so():
    """They had no royalties: published now, they are no royalties in metadata, and a warning says so before."""
    draft = state_after(EARLY_RECEIVERS)
    assert addresses(sale_receivers(draft)) == [EVM, OTHER_EVM]
    assert (royalty_receivers(draft), addresses(creators(draft))) == ([], [OTHER_EVM])
    assert pointers(receiver_warnings(draft)) == ["/receivers", "/receivers"]
    published = state_after(EARLY_RECEIVERS, PUBLISHED)
    assert (royalty_receivers(published), addresses(creators(published))) == ([], [OTHER_EVM])
    assert [(receiver.purpose, receiver.role) for receiver in published.receivers] == [
        ("sale", "other"),
        ("sale", "creator"),
    ]


def test_early_publications_keep_what_their_documents_said():
    """Every receiver was a creator with a royalty; until they are set again."""
    state = state_after(EARLY_RECEIVERS, EARLY)
    assert addresses(royalty_receivers(state)) == addresses(creators(state)) == [EVM, OTHER_EVM]
    assert addresses(sale_receivers(state)) == [EVM, OTHER_EVM]
    after = collection.evolve(
        state, events.ReceiversSet(COLLECTION, [events.SalesReceiver(EVM, "5", "x", "sale", None, "other")])
    )
    assert (royalty_receivers(after), creators(after)) == ([], [])
