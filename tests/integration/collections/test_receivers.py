"""Shares of sales and royalties over HTTP: what is refused, what is a warning, what the documents of a chain say."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.collections import CollectionPublished, ReceiversSet, SalesReceiver
from shared.eventstore import Context, StreamAppend
from tests.support.apps.client import ALICE, Answer
from tests.support.apps.collections import SELLABLE, Api, two_steps

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER_EVM = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
SPLITTER = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
TEZOS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
BAKERY = "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn"


def royalty(address: str, value: str, **members: Any) -> dict[str, Any]:
    return {"address": address, "value": value, "purpose": "royalty", **members}


def sale(address: str, value: str, **members: Any) -> dict[str, Any]:
    return {"address": address, "value": value, "purpose": "sale", **members}


async def create(api: Api, blockchain: str) -> Any:
    body = {"title": "Birds", "description": "Seen", "data": two_steps(), **SELLABLE, "blockchain": blockchain}
    return await api.create(body)


async def receive(api: Api, collection: Any, receivers: list[dict[str, Any]], splitter: str | None = None) -> Answer:
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}/receivers"
    return await api.post(path, {"receivers": receivers, "royalty_receiver": splitter})


def about_receivers(warnings: list[dict[str, str]]) -> list[str]:
    return [item["pointer"] for item in warnings if item["pointer"] in {"/receivers", "/royalty_receiver"}]


async def test_a_refusal_has_every_fault_and_records_nothing(api: Api):
    collection = await create(api, "BASE")
    wrong = [royalty(EVM, "20", name="A\nB"), royalty(OTHER_EVM, "0"), royalty(TEZOS, "5"), royalty(EVM, "1")]
    refused = await receive(api, collection, wrong, TEZOS)
    pointers = ["0/name", "1/value", "2/address", "3/address"]
    assert refused.code == (400, "VALIDATION_FAILED")
    assert refused.pointers == [*(f"/receivers/{where}" for where in pointers), "/royalty_receiver"]
    too_much = await receive(api, collection, [royalty(EVM, "20"), royalty(OTHER_EVM, "5.01")])
    assert (too_much.pointers, "25.01 %, more than 25 %" in too_much.body["detail"]) == (["/receivers"], True)
    for member, value in {"purpose": "gift", "role": "boss", "rôle": "creator"}.items():
        assert (await receive(api, collection, [{**royalty(EVM, "5"), member: value}])).status == 400, member
    assert (await api.get(f"/collections/{collection['id']}")).data["version"] == collection["version"]


@pytest.mark.parametrize("blockchain", ["ETHEREUM", "BASE"])
async def test_royalties_on_evm_have_one_receiver_or_a_warning(api: Api, blockchain: str):
    """The dry run warns of what publishing warns of; the sale's shares are in no document."""
    collection = await create(api, blockchain)
    path = f"/collections/{collection['id']}"
    receivers = [sale(SPLITTER, "90"), royalty(EVM, "10", name="Ada", role="creator"), royalty(OTHER_EVM, "2.5")]
    view = (await receive(api, collection, receivers)).data
    assert view["receivers"][1] == {**receivers[1], "type": "creator"}
    await api.make_artworks(collection)
    check = (await api.post(f"{path}/publish?dry_run=true")).data
    assert (check["valid"], about_receivers(check["warnings"])) == (True, ["/receivers", "/royalty_receiver"])
    assert [item["pointer"] for item in check["chains"][blockchain]["warnings"]] == ["/royalty_receiver"]
    assert len(check["chains"][blockchain]["collection"]["royalties"]) == 2
    view = (await receive(api, collection, receivers, SPLITTER.lower())).data
    assert view["royalty_receiver"] == SPLITTER
    check = (await api.post(f"{path}/publish?dry_run=true")).data
    assert about_receivers(check["warnings"]) == ["/receivers"]
    publication = (await api.post(f"{path}/publish")).data
    assert publication["warnings"] == check["warnings"]
    metadata = (await api.get(f"{path}/metadata", None)).data
    assert metadata == check["chains"][blockchain]["collection"]
    assert metadata["royalties"] == [{"receiver": SPLITTER, "basis_points": 1250}]
    shares = [{"receiver": EVM, "basis_points": 1000}, {"receiver": OTHER_EVM, "basis_points": 250}]
    assert metadata["royalty_shares"] == shares
    (listed,) = (await api.get(f"/collections?blockchain={blockchain}&limit=1", None)).data
    for name in ("receivers", "royalty_receiver"):
        assert listed[name] == (await api.get(f"{path}/public", None)).data[name] == view[name]


async def test_creators_and_royalties_on_tezos_are_those_with_the_role_and_the_purpose(api: Api):
    collection = await create(api, "TEZOS")
    path = f"/collections/{collection['id']}"
    refused = await receive(api, collection, [royalty(TEZOS, "5")], SPLITTER)
    assert refused.pointers == ["/royalty_receiver"]
    await api.make_artworks(collection)
    await receive(api, collection, [royalty(BAKERY, "5", role="platform")])
    assert about_receivers((await api.post(f"{path}/publish?dry_run=true")).data["warnings"]) == ["/receivers"]
    receivers = [sale(TEZOS, "80", name="Ada", role="creator"), royalty(TEZOS, "7.5"), royalty(BAKERY, "2.5")]
    await receive(api, collection, receivers)
    assert about_receivers((await api.post(f"{path}/publish")).data["warnings"]) == []
    assert (await api.get(f"{path}/metadata", None)).data["authors"] == [f"Ada <{TEZOS}>"]
    token = (await api.get(f"{path}/tokens/1/metadata", None)).data
    assert token["creators"] == [TEZOS]
    assert token["royalties"] == {"decimals": 4, "shares": {TEZOS: 750, BAKERY: 250}}


async def test_what_can_not_receive_on_a_chain_keeps_it_from_being_published_there(api: Api):
    """The dry run has the faults of the refusal."""
    collection = await create(api, "BASE")
    await receive(api, collection, [royalty(EVM, "5")], SPLITTER)
    await api.make_artworks(collection)
    await api.put(f"/projects/{collection['project_id']}/collections/{collection['id']}", {"blockchain": "TEZOS"})
    refused = await api.post(f"/collections/{collection['id']}/publish")
    assert refused.pointers == ["/receivers/0/address", "/royalty_receiver"]
    check = (await api.post(f"/collections/{collection['id']}/publish?dry_run=true")).data
    assert check["faults"] == refused.body["details"] == check["chains"]["TEZOS"]["faults"]
    assert check["chains"]["BASE"]["faults"] == []


async def test_receivers_of_early_releases_mean_what_they_meant(api: Api):
    """Of a draft: shares of the sale. Of a publication: its documents still say what they said."""
    early = [SalesReceiver(EVM, "60", "artist"), SalesReceiver(OTHER_EVM, "2.5", "creator")]
    documents = []
    for is_published in (False, True):
        collection = await create(api, "BASE")
        collection_id = UUID(collection["id"])
        job_id, _ = await api.make_artworks(collection)
        history: list[Any] = [ReceiversSet(collection_id, early)]
        if is_published:
            project_id = UUID(collection["project_id"])
            history.append(CollectionPublished(collection_id, project_id, ALICE, "2026-11-22T12:00:00.000Z"))
        await api.store.append([StreamAppend(collection_id, collection["version"], history)], Context(uuid4(), "test"))
        path = f"/collections/{collection_id}"
        if not is_published:
            check = (await api.post(f"{path}/publish?dry_run=true")).data
            assert about_receivers(check["warnings"]) == ["/receivers"]
            assert (await api.post(f"{path}/publish", {"job_id": str(job_id)})).status == 200
        view = (await api.get(f"{path}/public", None)).data
        assert [(item["purpose"], item["role"]) for item in view["receivers"]] == [
            ("sale", "other"),
            ("sale", "creator"),
        ]
        documents.append((await api.get(f"{path}/metadata", None)).data)
    assert "royalties" not in documents[0]
    royalties = [{"receiver": EVM, "basis_points": 6000}, {"receiver": OTHER_EVM, "basis_points": 250}]
    assert documents[1]["royalties"] == royalties
