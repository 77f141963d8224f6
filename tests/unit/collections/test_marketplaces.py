"""Documents of the three chains, by what marketplaces document that they read, and by the standards' schemas.

Sources:
- OpenSea's "Contract-level metadata" and "Metadata standards" (docs.opensea.io).
- objkt's "NFT smart contracts" (docs.objkt.com), which follows TZIP-16 and TZIP-21 with its own royalties.
- TZIP-21, "Rich Metadata", the text and its annex metadata-schema.json (gitlab.com/tezos/tzip, proposals/tzip-21): the
  members of `asset`, `format` and `attribute`, and which it recommends for multimedia NFTs. It names `rights`, "a
  statement about the asset rights", and `rightUri`, "a URI to a statement of rights".
- Rarible's "Asset creation" (rarible/protocol-documentation, asset/creating-an-asset: "Creating our NFT's metadata"),
  for tokens on EVM chains. What it reads of a collection there is only in its indexer (rarible/ethereum-indexer-public,
  StandardTokenPropertiesResolver), which also reads numbers as values of attributes (JsonUtils). It documents nothing
  for Tezos; its service (rarible/union-service-public, DipDupItemConverter) takes over name, description, attributes,
  tags, and the files in three sizes. `rightsUri` of its type `Meta` is a member of its answers, not of documents.
"""

import json
from typing import Any

import msgspec
import pytest

from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Creator, Offer, Royalty
from shared.content.package import canonical
from shared.contracts.collections import Trait
from shared.contracts.storage import ImageScaled, Rendition
from tests.unit.collections.test_chains import CID, EVM, PNG, TEZOS, TRAITS, VIDEO, check_both, token

OFFER = Offer(
    title="First Light",
    description="A tide, drawn",
    cover_image_url="https://example.com/cover.png",
    images=["https://example.com/featured.png"],
    creators=[Creator(EVM, "Ada"), Creator(TEZOS, "Ada")],
    royalties=[Royalty(EVM, 500), Royalty(TEZOS, 500)],
    link="https://emprops.example/c/1",
    own_symbol="TIDE",
    tags=["sea", "generative"],
    rights="Print it at home, as often as you like",
    license="CC-BY-NC-4.0",
    license_url="https://creativecommons.org/licenses/by-nc/4.0/",
    minter="KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn",
    banner_image_url="https://example.com/banner.png",
    rules=document_rules([TRAITS]),
)
DISPLAY = "bafkreia2xtwwdys4dxonlzjod5yxdz7tkiut5l2sgrdrh4d52d3qpstrpy"
THUMBNAIL = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
TOKEN = token([PNG, VIDEO], cids={71: CID})

OPENSEA_COLLECTION = ("name", "symbol", "description", "image", "banner_image", "featured_image", "external_link")
OPENSEA_TOKEN = ("name", "description", "image", "external_url", "animation_url", "attributes")
OBJKT_COLLECTION = ("name", "description", "imageUri", "homepage", "interfaces")
OBJKT_TOKEN = (
    "name",
    "symbol",
    "decimals",
    "description",
    "artifactUri",
    "displayUri",
    "thumbnailUri",
    "creators",
    "minter",
    "formats",
    "tags",
    "attributes",
    "rights",
    "date",
    "royalties",
)
RARIBLE_COLLECTION = ("name", "description", "image", "external_link")
RARIBLE_TOKEN = ("name", "description", "image", "external_url", "animation_url", "attributes")
RARIBLE_TEZOS = ("name", "description", "tags", "attributes", "artifactUri", "displayUri", "thumbnailUri")
TZIP_21_RECOMMENDED = (
    *("decimals", "name", "symbol", "artifactUri", "displayUri", "thumbnailUri", "description", "minter", "creators"),
    *("isBooleanAmount", "formats", "tags"),
)
TZIP_21_ASSET = {
    *TZIP_21_RECOMMENDED,
    *("contributors", "publishers", "date", "blockLevel", "type", "genres", "language", "identifier", "rights"),
    *("rightUri", "externalUri", "isTransferable", "shouldPreferSymbol", "attributes", "assets"),
}
TZIP_21_FORMAT = {"uri", "hash", "mimeType", "fileSize", "fileName", "duration", "dimensions", "dataRate"}
CHECKLISTS: dict[str, tuple[tuple[Chain, ...], tuple[str, ...], tuple[str, ...]]] = {
    "OpenSea": (("ETHEREUM", "BASE"), OPENSEA_COLLECTION, OPENSEA_TOKEN),
    "objkt": (("TEZOS",), OBJKT_COLLECTION, OBJKT_TOKEN),
    "Rarible on EVM chains": (("ETHEREUM", "BASE"), RARIBLE_COLLECTION, RARIBLE_TOKEN),
    "Rarible on Tezos": (("TEZOS",), (), RARIBLE_TEZOS),
    "TZIP-21": (("TEZOS",), (), TZIP_21_RECOMMENDED),
}


@pytest.mark.parametrize("marketplace", CHECKLISTS)
def test_the_documents_have_what_the_marketplace_reads(marketplace: str):
    """And are valid by the schemas of their standards."""
    chains, of_collection, of_token = CHECKLISTS[marketplace]
    for chain in chains:
        collection, single = check_both(chain, OFFER, TOKEN)
        assert [name for name in of_collection if name not in collection] == []
        assert [name for name in of_token if name not in single] == []


def test_each_member_is_what_its_reader_expects():
    evm, token_on_evm = (json.loads(canonical(document)) for document in check_both("BASE", OFFER, TOKEN))
    assert (evm["symbol"], evm["banner_image"]) == ("TIDE", "https://example.com/banner.png")
    assert evm["image"] != evm["featured_image"], "OpenSea shows them beside each other"
    assert all({"trait_type", "value"} <= set(attribute) for attribute in token_on_evm["attributes"])
    tezos, token_on_tezos = (json.loads(canonical(document)) for document in check_both("TEZOS", OFFER, TOKEN))
    assert tezos["license"] == {
        "name": "CC-BY-NC-4.0",
        "details": "https://creativecommons.org/licenses/by-nc/4.0/",
    }
    assert (token_on_tezos["symbol"], token_on_tezos["tags"]) == ("TIDE", ["sea", "generative"])
    assert token_on_tezos["rights"] == "Print it at home, as often as you like"
    assert token_on_tezos["rightUri"] == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert token_on_tezos["minter"] == "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn"
    assert sum(token_on_tezos["royalties"]["shares"].values()) <= 10 ** token_on_tezos["royalties"]["decimals"]
    assert all(item["mimeType"] for item in token_on_tezos["formats"])


def test_a_document_on_tezos_has_no_members_that_tzip_21_does_not_name():
    """But the marketplaces' royalties. An attribute's value is a text, and lists name nothing twice."""
    document = json.loads(canonical(check_both("TEZOS", OFFER, msgspec.structs.replace(TOKEN, scaled=COPIES))[1]))
    assert set(document) - TZIP_21_ASSET == {"royalties"}
    assert set().union(*document["formats"]) <= TZIP_21_FORMAT
    assert all(set(item["dimensions"]) == {"value", "unit"} for item in document["formats"] if "dimensions" in item)
    for attribute in document["attributes"]:
        assert {"name", "value"} <= set(attribute) <= {"name", "value", "type"}
        assert isinstance(attribute["value"], str)
    for members in (document["creators"], document["tags"]):
        assert len(set(members)) == len(members)


def test_rights_are_the_creators_words_or_the_license_and_none_by_default():
    only_license = msgspec.structs.replace(OFFER, rights=None)
    assert check_both("TEZOS", only_license, TOKEN)[1]["rights"] == "CC-BY-NC-4.0"
    nothing = msgspec.structs.replace(only_license, license=None, license_url=None)
    collection, single = check_both("TEZOS", nothing, TOKEN)
    assert not {"license"} & set(collection)
    assert not {"rights", "rightUri"} & set(single)


def test_what_an_early_release_published_keeps_its_statement_of_rights():
    early = msgspec.structs.replace(OFFER, rights=None, license=None, license_url=None, rules=None)
    collection, single = check_both("TEZOS", early, TOKEN)
    assert (collection["license"], single["rights"]) == ({"name": "All rights reserved"}, "All rights reserved")


@pytest.mark.parametrize("chain", CHAINS)
def test_the_cover_may_be_the_image_of_a_token(chain: Chain):
    """By its IPFS address, whatever else is among the images; none if that token has no image."""
    own = msgspec.structs.replace(OFFER, cover_image_url=None, cover_token=3)
    member = "imageUri" if chain == "TEZOS" else "image"
    others = [token(number=2, cids={71: "bafkreiother"}), TOKEN]
    assert check_both(chain, own.covered(others), TOKEN)[0][member] == f"ipfs://{CID}"
    without = own.covered([token([VIDEO])])
    assert collection_metadata(chain, without)[member] == "https://example.com/featured.png"


def values_of(chain: Chain, traits: list[Any]) -> list[tuple[Any, Any]]:
    """Value and type of one trait, in the documents of tokens that have these values of it."""
    rules = document_rules([[Trait("size", value)] for value in traits])
    an_offer = msgspec.structs.replace(OFFER, rules=rules)
    pairs = []
    for value in traits:
        document = token_metadata(chain, an_offer, token(traits=[Trait("size", value)]))
        (attribute,) = check_both(chain, an_offer, token(traits=[Trait("size", value)]))[1]["attributes"]
        assert canonical(document) == canonical(json.loads(canonical(document)))
        pairs.append((attribute["value"], attribute.get("type" if chain == "TEZOS" else "display_type")))
    return pairs


def test_a_trait_of_whole_numbers_is_written_without_fractions():
    assert values_of("BASE", [20, 20.0, -0.0]) == [(20, "number"), (20, "number"), (0, "number")]
    assert values_of("TEZOS", [20, 20.0]) == [("20", "integer"), ("20", "integer")]


def test_a_trait_with_a_fraction_is_a_number_in_every_token():
    assert values_of("BASE", [20, 0.5]) == [(20, "number"), (0.5, "number")]
    assert values_of("TEZOS", [20, 0.5, 0.00001]) == [("20", "number"), ("0.5", "number"), ("0.00001", "number")]


@pytest.mark.parametrize("chain", CHAINS)
def test_a_trait_with_a_text_is_a_text_in_every_token(chain: Chain):
    assert values_of(chain, [2, "large", 0.5]) == [("2", None), ("large", None), ("0.5", None)]


@pytest.mark.parametrize("chain", CHAINS)
def test_numbers_without_a_plain_json_form_are_texts_with_all_their_digits(chain: Chain):
    """JSON readers would round what is beyond 2^53, and write 1e22 and 1e-7."""
    assert values_of(chain, [1e22, 3]) == [("10000000000000000000000", None), ("3", None)]
    assert values_of(chain, [1e-7]) == [("0.0000001", None)]
    assert values_of(chain, [2**53]) == [("9007199254740992", None)]
    assert values_of(chain, [2**53 - 1])[0][0] in (2**53 - 1, str(2**53 - 1))


def test_what_an_early_release_published_keeps_the_notation_of_each_value():
    early = msgspec.structs.replace(OFFER, rules=None)
    a_token = token(traits=[Trait("a", 1e22), Trait("b", 20.0)])
    assert b'"value":1e22' in canonical(token_metadata("BASE", early, a_token))
    assert [item["value"] for item in token_metadata("TEZOS", early, a_token)["attributes"]] == ["1e+22", "20.0"]


COPIES = ImageScaled(
    71,
    1600,
    800,
    [
        Rendition("display", 73, "renditions/71/display.webp", "image/webp", 1000, 500, 900, "01" * 32, DISPLAY),
        Rendition("thumbnail", 74, "renditions/71/thumbnail.webp", "image/webp", 350, 175, 300, "02" * 32, THUMBNAIL),
    ],
)


def test_display_and_thumbnail_are_files_of_their_own_with_their_facts():
    """On Tezos; of a film, they are copies of its image. File names differ by token."""
    film = msgspec.structs.replace(TOKEN, scaled=COPIES)
    single = check_both("TEZOS", OFFER, film)[1]
    assert (single["displayUri"], single["thumbnailUri"]) == (f"ipfs://{DISPLAY}", f"ipfs://{THUMBNAIL}")
    facts = [(item["fileName"], item.get("dimensions"), item["fileSize"]) for item in single["formats"]]
    assert facts == [
        ("3.mp4", None, 4096),
        ("3.png", {"value": "1600x800", "unit": "px"}, 2048),
        ("3.display.webp", {"value": "1000x500", "unit": "px"}, 900),
        ("3.thumbnail.webp", {"value": "350x175", "unit": "px"}, 300),
    ]
    assert all(item["hash"].startswith("sha256:") for item in single["formats"])


def test_an_image_without_copies_is_its_own_display_and_thumbnail():
    """One that can't be decoded, and one whose copies are not made yet."""
    for scaled in (None, ImageScaled(71)):
        single = check_both("TEZOS", OFFER, msgspec.structs.replace(TOKEN, scaled=scaled))[1]
        assert single["displayUri"] == single["thumbnailUri"] == f"ipfs://{CID}"
        assert [item["fileName"] for item in single["formats"]] == ["3.mp4", "3.png"]


def test_what_an_early_release_published_does_not_name_copies():
    early = msgspec.structs.replace(OFFER, rules=None)
    film = msgspec.structs.replace(TOKEN, scaled=COPIES)
    assert token_metadata("TEZOS", early, film) == token_metadata("TEZOS", early, TOKEN)
