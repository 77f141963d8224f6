"""The events of edits, and which edits are refused."""

from decimal import Decimal

import msgspec
import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection.archiving import ArchiveCollection, RestoreCollection
from services.collections.domain.collection.editing import ConfigurePreview, EditCollection, SetReceivers
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.receivers import Share
from shared.contracts import collections as events
from tests.unit.collections.specification import (
    ALICE,
    BOB,
    COLLECTION,
    OTHER_PROJECT,
    PROJECT,
    SELLABLE,
    created,
    given,
    two_steps,
)

PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z")
ARCHIVED = events.CollectionArchived(COLLECTION)


def edit(data=None, *, ids=(), user=ALICE, project=PROJECT, **changes) -> EditCollection:
    return EditCollection(
        user_id=user, project_id=project, changes=FieldChanges(**changes), data=data, component_ids=ids
    )


def test_each_changed_field_is_an_event():
    command = edit(
        title="Fish",
        description="Swimming",
        blockchain="TEZOS",
        editions=20,
        price=Decimal("1.50"),
        batch_mint_enabled=True,
        encryption_enabled=True,
        cover_image_url="https://example.com/fish.png",
        images=["https://example.com/1.png"],
    )
    given(collection, *created(title="Birds")).when(command).then(
        events.CollectionRetitled(COLLECTION, "Fish"),
        events.CollectionDescribed(COLLECTION, "Swimming"),
        events.ChainChosen(COLLECTION, "TEZOS"),
        events.EditionsSet(COLLECTION, 20),
        events.CollectionPriced(COLLECTION, "1.5"),
        events.BatchMintingConfigured(COLLECTION, batch_mint_enabled=True, batch_max_tokens=None),
        events.EncryptionChosen(COLLECTION, encryption_enabled=True),
        events.CoverImageChosen(COLLECTION, "https://example.com/fish.png"),
        events.ImagesArranged(COLLECTION, ["https://example.com/1.png"]),
    )


def test_the_state_has_the_edited_fields():
    """Folding the events of an edit gives the fields that were sent."""
    history = created(title="Birds")
    edited = given(collection, *history).when(edit(title="Fish", price=Decimal(2)))
    state = given(collection, *history, *edited.outcome).state
    assert (state.fields.title, state.fields.price) == ("Fish", "2")


def test_an_edit_without_changes_has_no_events():
    """The data has the component ids already."""
    history = created(title="Birds", price=Decimal("0.5"))
    command = edit(history[0].data, ids=(), title="Birds", price=Decimal("0.50"))
    given(collection, *history).when(command).then_nothing_happens()


def test_revised_instructions_keep_the_components_of_existing_steps():
    """A new step gets a new component; references to existing and new steps are rewritten."""
    history = created(ids=(1001, 1002))
    data = history[0].data
    added = {"id": 7, "nodeName": "caption", "nodePayload": {"text": "{{$ref:1002}}"}}
    first = data["steps"][0] | {"nodePayload": {"prompt": "after {{$ref:7}}"}}
    second = data["steps"][1] | {"nodePayload": {}}
    outcome = given(collection, *history).when(edit(data | {"steps": [first, second, added]}, ids=(2001, 2002, 2003)))
    (revised,) = outcome.outcome
    assert isinstance(revised, events.InstructionsRevised)
    assert [step["id"] for step in revised.data["steps"]] == [1001, 1002, 2001]
    assert [step["fromId"] for step in revised.data["steps"]] == [1, 2, 7]
    assert revised.data["steps"][0]["nodePayload"] == {"prompt": "after {{$ref:2001}}"}
    assert revised.data["steps"][2]["nodePayload"] == {"text": "{{$ref:1002}}"}


def test_a_step_that_is_put_back_has_its_former_component():
    history = created(ids=(1001, 1002))
    without = history[0].data | {"steps": history[0].data["steps"][:1]}
    (removal,) = given(collection, *history).when(edit(without)).outcome
    given(collection, *history, removal).when(edit(history[0].data)).then(
        events.InstructionsRevised(COLLECTION, history[0].data)
    )


def test_faulty_instructions_are_refused():
    data = two_steps() | {"version": "v9"}
    given(collection, *created()).when(edit(data)).then_refused("VALIDATION_FAILED", "/data/version")


@pytest.mark.parametrize("command", [edit(user=BOB), edit(project=OTHER_PROJECT)])
def test_an_edit_of_another_users_collection_is_refused(command):
    given(collection, *created()).when(command).then_refused("NOT_FOUND")


def test_an_edit_of_a_missing_collection_is_refused():
    given(collection).when(edit(title="Fish")).then_refused("NOT_FOUND")


def test_an_edit_of_what_was_sold_is_refused():
    data = created()[0].data
    other = data | {"steps": data["steps"][:1]}
    command = edit(other, title="Fish", editions=1, blockchain="BASE", description="fine")
    given(collection, *created(title="Birds"), PUBLISHED).when(command).then_refused(
        "VALIDATION_FAILED", "/title", "/blockchain", "/editions", "/data"
    )


def test_description_and_price_of_a_published_collection_may_change():
    command = edit(description="New words", price=Decimal(3))
    given(collection, *created(), PUBLISHED).when(command).then(
        events.CollectionDescribed(COLLECTION, "New words"),
        events.CollectionPriced(COLLECTION, "3"),
        events.PublicationRevised(COLLECTION, 2, ["description", "price"]),
    )


def test_how_a_published_collection_is_presented_may_change_but_not_its_rights():
    command = edit(tags=["sea"], minter=TEZOS, banner_image_url="ipfs://banner", cover_token=1)
    given(collection, *created(), PUBLISHED).when(command).then(
        events.CollectionTagged(COLLECTION, ["sea"]),
        events.MinterNamed(COLLECTION, TEZOS),
        events.BannerImageChosen(COLLECTION, "ipfs://banner"),
        events.CoverTokenChosen(COLLECTION, 1),
        events.PublicationRevised(COLLECTION, 2, ["tags", "minter", "banner_image_url", "cover_token"]),
    )
    command = edit(symbol="TIDE", rights="Mine", license="CC0-1.0", license_url="https://example.com/cc0")
    given(collection, *created(), PUBLISHED).when(command).then_refused(
        "VALIDATION_FAILED", "/symbol", "/rights", "/license", "/license_url"
    )


def test_a_cover_token_beyond_the_editions_is_refused_once_published():
    draft = created(editions=2)
    assert given(collection, *draft).when(edit(cover_token=3)).outcome == [events.CoverTokenChosen(COLLECTION, 3)]
    given(collection, *draft, PUBLISHED).when(edit(cover_token=3)).then_refused("VALIDATION_FAILED", "/cover_token")


def test_only_its_owner_archives_and_restores():
    for command in (ArchiveCollection(BOB), RestoreCollection(BOB)):
        given(collection, *created()).when(command).then_refused("NOT_FOUND")


def test_archiving_and_restoring_are_idempotent():
    given(collection, *created()).when(ArchiveCollection(ALICE)).then(ARCHIVED)
    given(collection, *created(), ARCHIVED).when(ArchiveCollection(ALICE)).then_nothing_happens()
    given(collection, *created(), ARCHIVED).when(RestoreCollection(ALICE)).then(events.CollectionRestored(COLLECTION))
    given(collection, *created()).when(RestoreCollection(ALICE)).then_nothing_happens()


def test_an_archived_collection_refuses_changes():
    for command in (edit(title="Fish"), receive(), ConfigurePreview(user_id=ALICE, enabled=True)):
        given(collection, *created(), ARCHIVED).when(command).then_refused("CONFLICT")


EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TEZOS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"


def receive(*shares, user=ALICE, project=PROJECT) -> SetReceivers:
    return SetReceivers(user, project, [Share(address, Decimal(value), kind) for address, value, kind in shares])


def recorded(address: str, value: str, role: str = "creator") -> events.SalesReceiver:
    return events.SalesReceiver(address, value, role, "sale", None, role)


def test_receivers_are_replaced_as_a_whole_in_canonical_form():
    """Addresses have a checksum; percentages have no trailing zeros."""
    first = events.ReceiversSet(COLLECTION, [recorded(EVM, "97.5")])
    given(collection, *created()).when(receive((EVM.lower(), "97.50", "creator"))).then(first)
    given(collection, *created(), first).when(receive((EVM, "97.5", "creator"))).then_nothing_happens()
    given(collection, *created(), first).when(receive()).then(events.ReceiversSet(COLLECTION, []))


def test_percentages_above_100_in_sum_are_refused():
    shares = ((EVM, "60", "creator"), (TEZOS, "40.01", "charity"))
    details = given(collection, *created()).when(receive(*shares)).then_refused("VALIDATION_FAILED", "/receivers")
    assert "100.01" in details[0].message


def test_a_refusal_has_every_fault_of_the_receivers():
    shares = ((EVM, "0", "creator"), (EVM, "1.001", " "), ("0x12", "101", "x"))
    given(collection, *created()).when(receive(*shares)).then_refused(
        "VALIDATION_FAILED",
        "/receivers/0/value",
        "/receivers/1/value",
        "/receivers/1/type",
        "/receivers/1/address",
        "/receivers/2/address",
        "/receivers/2/value",
    )


def test_a_receiver_on_another_chain_is_refused():
    history = created(blockchain="TEZOS")
    given(collection, *history).when(receive((EVM, "5", "creator"))).then_refused(
        "VALIDATION_FAILED", "/receivers/0/address"
    )


def test_receivers_of_a_published_collection_may_change():
    outcome = given(collection, *created(), PUBLISHED).when(receive((TEZOS, "5", "creator"))).outcome
    assert outcome == [
        events.ReceiversSet(COLLECTION, [recorded(TEZOS, "5")]),
        events.PublicationRevised(COLLECTION, 2, ["receivers"]),
    ]


def test_configuring_a_preview_changes_only_the_fields_in_the_command():
    configured = events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)
    command = ConfigurePreview(user_id=ALICE, enabled=True)
    given(collection, *created()).when(command).then(configured)
    given(collection, *created(), configured).when(command).then_nothing_happens()
    given(collection, *created(), configured).when(ConfigurePreview(user_id=ALICE, is_remixable=True)).then(
        events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=True)
    )


def test_visitors_pay_for_previews_unless_the_owner_says_otherwise():
    """The choice stays when something else of the preview is changed."""
    configured = events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)
    assert configured.paid_by == "visitor"
    paid = msgspec.structs.replace(configured, paid_by="owner")
    given(collection, *created(), configured).when(ConfigurePreview(user_id=ALICE, paid_by="owner")).then(paid)
    given(collection, *created(), paid).when(ConfigurePreview(user_id=ALICE, max_generations=5)).then(
        msgspec.structs.replace(paid, max_generations=5)
    )


def test_a_preview_has_bounds_and_an_owner():
    given(collection, *created()).when(ConfigurePreview(user_id=ALICE, max_generations=0)).then_refused(
        "VALIDATION_FAILED", "/max_generations"
    )
    given(collection, *created()).when(ConfigurePreview(user_id=BOB, enabled=True)).then_refused("NOT_FOUND")


def test_the_price_of_a_published_collection_stays_valid_on_its_chain():
    """The price may change to another that the chain can represent."""
    history = (*created(**{**SELLABLE, "blockchain": "TEZOS"}), PUBLISHED)
    given(collection, *history).when(edit(price=Decimal("0.1234567"))).then_refused("VALIDATION_FAILED", "/price")
    given(collection, *history).when(edit(price=None)).then_refused("VALIDATION_FAILED", "/price")
    given(collection, *history).when(edit(price=Decimal(2))).then(
        events.CollectionPriced(COLLECTION, "2"), events.PublicationRevised(COLLECTION, 2, ["price"])
    )


@pytest.mark.parametrize(
    "value", ["1e-999999999", "-1e-999999999", "1e999999999", "NaN", "sNaN", "Infinity", "0e999999999"]
)
def test_a_number_with_a_huge_exponent_is_checked_without_expanding_it(value):
    """Expanded, it would have a gigabyte of digits."""
    share = (EVM, Decimal(value), "artist")
    given(collection, *created()).when(receive(share)).then_refused("VALIDATION_FAILED", "/receivers/0/value")
    refused = {"0e999999999": []}.get(value, ["/price"])
    outcome = given(collection, *created()).when(edit(price=Decimal(value)))
    if refused:
        outcome.then_refused("VALIDATION_FAILED", *refused)
    else:
        assert outcome.outcome[0].price == "0"


def test_trailing_zeros_are_not_decimals():
    """12.50 has one decimal."""
    share = (EVM, Decimal("12.5000000"), "artist")
    assert given(collection, *created()).when(receive(share)).outcome[0].receivers[0].value == "12.5"
    assert given(collection, *created()).when(edit(price=Decimal("1." + "0" * 40))).outcome[0].price == "1"
