"""The metadata of collections and tokens, checked by schemas that were written from the standards."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.artwork.traits import traits_of
from services.collections.domain.chains import CHAINS, collection_metadata, token_metadata
from services.collections.domain.chains.evm import token_id
from services.collections.domain.chains.offer import Creator, Offer, Royalty, basis_points
from shared.content.manifest_forms import read
from shared.content.metadata_forms import EvmCollection, EvmToken, TezosCollection, TezosToken
from shared.content.package import canonical
from shared.contracts.collections import ArtworkFile, Trait
from tests.support.examples import examples

SCHEMAS = Path(__file__).parent / "schemas"
FORMS = {
    "tzip-16": TezosCollection,
    "tzip-21": TezosToken,
    "erc-7572": EvmCollection,
    "erc-721-opensea": EvmToken,
}
"""Those that packages are verified by."""
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER_EVM = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
SPLITTER = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
TEZOS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
BAKERY = "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn"
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
PNG = ArtworkFile(71, "https://cdn.example/71.png", "generations/a/71.png", "image/png", "ab" * 32, 2048)
VIDEO = ArtworkFile(72, "https://cdn.example/72.mp4", "generations/a/72.mp4", "video/mp4", "cd" * 32, 4096)


def offer(**changes) -> Offer:
    fields = {
        "title": "First Light",
        "description": "A tide, drawn",
        "cover_image_url": "https://example.com/cover.png",
        "images": ["https://example.com/1.png", {"url": "ipfs://" + CID}],
        "creators": [Creator(EVM), Creator(TEZOS, "Ada")],
        "royalties": [Royalty(EVM, 500), Royalty(TEZOS, 250)],
        "link": "https://emprops.example/collections/1/public",
    }
    return Offer(**{**fields, **changes})


TRAITS = (Trait("style", "Noir"), Trait("steps", 20), Trait("noise", 0.5))


def token(files=(PNG,), traits=TRAITS, **changes) -> Token:
    return Token(
        number=changes.get("number", 3),
        gid=UUID(int=1),
        hash="ab" * 32,
        traits=list(traits),
        files=list(files),
        cids=changes.get("cids", {}),
        made_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    )


def check(document: dict, schema: str) -> dict:
    """The document, if it is valid by a schema that was written from the standard, with all its formats."""
    definition = json.loads((SCHEMAS / f"{schema}.json").read_text())
    jsonschema.Draft202012Validator(definition, format_checker=jsonschema.FormatChecker()).validate(document)
    read(canonical(document), FORMS[schema])
    return document


def check_both(chain: str, an_offer: Offer, a_token: Token) -> tuple[dict, dict]:
    collection, single = ("tzip-16", "tzip-21") if chain == "TEZOS" else ("erc-7572", "erc-721-opensea")
    return (
        check(collection_metadata(chain, an_offer), collection),
        check(token_metadata(chain, an_offer, a_token), single),
    )


def test_an_evm_collection_has_its_name_image_and_royalties():
    """Without receivers on other chains, and without `collaborators`, who might edit the page."""
    for chain in ("ETHEREUM", "BASE"):
        assert check(collection_metadata(chain, offer()), "erc-7572") == {
            "name": "First Light",
            "symbol": "FIRSTLIG",
            "description": "A tide, drawn",
            "image": "https://example.com/cover.png",
            "featured_image": "https://example.com/1.png",
            "external_link": "https://emprops.example/collections/1/public",
            "royalties": [{"receiver": EVM, "basis_points": 500}],
        }


@pytest.mark.parametrize("chain", ["ETHEREUM", "BASE"])
def test_a_contract_that_splits_the_royalties_is_their_one_receiver_on_evm(chain):
    """As ERC-2981 knows one receiver; without it, the document lists all who share them."""
    shares = [Royalty(EVM, 500), Royalty(OTHER_EVM, 125), Royalty(TEZOS, 250)]
    split = check(collection_metadata(chain, offer(royalties=shares, royalty_receiver=SPLITTER)), "erc-7572")
    on_chain = [{"receiver": EVM, "basis_points": 500}, {"receiver": OTHER_EVM, "basis_points": 125}]
    assert (split["royalties"], split["royalty_shares"]) == ([{"receiver": SPLITTER, "basis_points": 625}], on_chain)
    together = check(collection_metadata(chain, offer(royalties=shares)), "erc-7572")
    assert (together["royalties"], "royalty_shares" in together) == (on_chain, False)
    of_none = check(collection_metadata(chain, offer(royalties=shares[2:], royalty_receiver=SPLITTER)), "erc-7572")
    assert not {"royalties", "royalty_shares"} & set(of_none)


def test_each_royalty_is_a_share_on_tezos_and_only_creators_are_named():
    """A creator without royalties is named, a receiver of royalties who is no creator is not."""
    an_offer = offer(creators=[Creator(BAKERY)], royalties=[Royalty(TEZOS, 250), Royalty(BAKERY, 5)])
    assert check(collection_metadata("TEZOS", an_offer), "tzip-16")["authors"] == [BAKERY]
    single = check(token_metadata("TEZOS", an_offer, token()), "tzip-21")
    assert (single["creators"], single["royalties"]["shares"]) == ([BAKERY], {TEZOS: 250, BAKERY: 5})


def test_an_evm_token_has_opensea_attributes_with_a_display_type_for_numbers():
    assert check(token_metadata("BASE", offer(), token()), "erc-721-opensea") == {
        "name": "First Light #3",
        "description": "A tide, drawn",
        "image": "https://cdn.example/71.png",
        "external_url": "https://emprops.example/collections/1/public",
        "attributes": [
            {"trait_type": "style", "value": "Noir"},
            {"trait_type": "steps", "value": 20, "display_type": "number"},
            {"trait_type": "noise", "value": 0.5, "display_type": "number"},
        ],
    }


def test_tokens_link_to_pages_of_their_own_unless_an_early_release_published_them():
    """Below that of the collection; documents of early releases keep their links: see the tests above."""
    page, rules = "https://emprops.example/c/1", document_rules([TRAITS])
    an_offer = offer(link=page, rules=rules)
    evm_collection, evm = check_both("BASE", an_offer, token())
    assert (evm_collection["external_link"], evm["external_url"]) == (page, f"{page}/3")
    tezos_collection, tezos = check_both("TEZOS", an_offer, token())
    assert (tezos_collection["homepage"], tezos["externalUri"]) == (page, f"{page}/3")
    for chain, link in (("BASE", "external_url"), ("TEZOS", "externalUri")):
        assert link not in token_metadata(chain, offer(link=None, rules=rules), token())


def test_an_artwork_that_is_a_video_comes_with_its_image():
    evm = check(token_metadata("BASE", offer(), token([PNG, VIDEO])), "erc-721-opensea")
    assert (evm["image"], evm["animation_url"]) == (PNG.url, VIDEO.url)
    tezos = check(token_metadata("TEZOS", offer(), token([PNG, VIDEO])), "tzip-21")
    assert (tezos["artifactUri"], tezos["displayUri"]) == (VIDEO.url, PNG.url)
    assert [item["mimeType"] for item in tezos["formats"]] == ["video/mp4", "image/png"]


def test_a_tezos_collection_has_its_interfaces_and_authors():
    assert check(collection_metadata("TEZOS", offer()), "tzip-16") == {
        "name": "First Light",
        "symbol": "FIRSTLIG",
        "description": "A tide, drawn",
        "version": "1.0.0",
        "license": {"name": "All rights reserved"},
        "authors": [f"Ada <{TEZOS}>"],
        "homepage": "https://emprops.example/collections/1/public",
        "imageUri": "https://example.com/cover.png",
        "interfaces": ["TZIP-012", "TZIP-016", "TZIP-021"],
    }


def test_a_tezos_token_has_its_files_attributes_and_royalties():
    assert check(token_metadata("TEZOS", offer(), token()), "tzip-21") == {
        "decimals": 0,
        "name": "First Light #3",
        "symbol": "FIRSTLIG",
        "description": "A tide, drawn",
        "artifactUri": PNG.url,
        "displayUri": PNG.url,
        "thumbnailUri": PNG.url,
        "externalUri": "https://emprops.example/collections/1/public",
        "creators": [TEZOS],
        "isBooleanAmount": True,
        "formats": [
            {
                "uri": PNG.url,
                "mimeType": "image/png",
                "fileSize": 2048,
                "fileName": "71.png",
                "hash": "sha256:" + "ab" * 32,
            }
        ],
        "attributes": [
            {"name": "style", "value": "Noir"},
            {"name": "steps", "value": "20", "type": "integer"},
            {"name": "noise", "value": "0.5", "type": "number"},
        ],
        "rights": "All rights reserved",
        "date": "2026-11-22T12:00:00Z",
        "royalties": {"decimals": 4, "shares": {TEZOS: 250}},
    }


@pytest.mark.parametrize("chain", CHAINS)
def test_a_file_with_a_cid_has_an_ipfs_uri(chain):
    document = check_both(chain, offer(), token(cids={71: CID}))[1]
    assert document["artifactUri" if chain == "TEZOS" else "image"] == f"ipfs://{CID}"
    assert PNG.url not in json.dumps(document)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_collection_with_a_title_only_has_valid_documents(chain):
    """No description, image, receivers or link; and an artwork without files."""
    bare = Offer(title="木", description="")
    collection, single = check_both(chain, bare, token(files=[], traits=[]))
    assert collection["symbol"] == "EMPROPS"
    assert single["name"] == "木 #3"
    assert not {"image", "artifactUri", "attributes", "royalties", "creators"} & set(single)


_texts = st.text(min_size=1, max_size=30)
_values = st.one_of(_texts, st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))


@examples(60)
@given(title=_texts, description=st.text(max_size=50), variables=st.dictionaries(_texts, _values, max_size=6))
def test_any_variables_give_valid_documents_on_every_chain(title, description, variables):
    an_offer = Offer(title=title, description=description, royalties=offer().royalties)
    a_token = token(traits=[Trait(name, value) for name, value in variables.items()])
    for chain in CHAINS:
        _, single = check_both(chain, an_offer, a_token)
        assert len(single.get("attributes", [])) == len(variables)
        assert json.loads(json.dumps(single)) == single


def test_the_image_is_the_cover_or_else_the_first_image_with_a_url():
    images = ["b", 5, {"alt": "none"}, {"url": "https://example.com/2.png"}, "https://example.com/3.png"]
    without = offer(cover_image_url=None, images=images)
    assert (without.image, without.featured_image) == ("https://example.com/2.png", "https://example.com/3.png")
    assert offer(cover_image_url=None, images=["b"]).image is None


def test_shares_are_exact_basis_points():
    assert [basis_points(value) for value in ("0.01", "2.5", "29.99", "57.28", "100")] == [1, 250, 2999, 5728, 10000]


def test_an_erc_1155_id_has_64_lowercase_hexadecimal_digits():
    """The example of the ERC: 314592 is 0x4cce0."""
    assert token_id(314592) == "000000000000000000000000000000000000000000000000000000000004cce0"


def test_traits_are_the_values_of_variables_by_display_name():
    declarations = [
        {"name": "style", "type": "pick", "value": {"values": ["noir", "pop"], "display_names": ["Noir", "Pop art"]}},
        {"name": "size", "type": "pick", "value": {"values": [1, 2]}},
        {"name": "noise", "type": "number", "value": 0.25},
        {"name": "mood", "type": "text", "value": None},
        {"name": "unset", "type": "text"},
    ]
    values = {"mood": "", "noise": 0.25, "size": 2, "style": "pop", "gone": "x"}
    assert traits_of(values, declarations) == [Trait("style", "Pop art"), Trait("size", 2), Trait("noise", 0.25)]
