"""A package whose every byte is what its CID names, but which means nothing, or something else, is refused."""

import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.content.difference import Difference
from shared.content.document_names import other_names
from shared.content.package import MANIFEST, Contents
from shared.content.verification import verify
from shared.contracts.collections import PackagedDocument, PackagedRendition
from tests.unit.content.package_file import (
    contents,
    documents_of,
    packaged,
    png,
    repackaged,
    with_document,
)

ARTWORKS = [png(40), png(333), png(55)]
PACKAGE = contents(ARTWORKS, "image/png")
FILES = {item.path: ARTWORKS[item.token - 1] for item in PACKAGE.artworks}
DOCUMENTS = {document.path: document.text for document in PACKAGE.documents}
BASE, TEZOS = "metadata/base/2.json", "metadata/tezos/2.json"
FOREIGN = "ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def difference(package: bytes) -> Difference:
    with pytest.raises(Difference) as refusal:
        verify(io.BytesIO(package), len(package))
    assert refusal.value.offset > 0, "the place in the file"
    return refusal.value


def document(path: str, **members: Any) -> dict[str, Any]:
    """The document at `path` with other members; without those that are None."""
    changed = msgspec.json.decode(DOCUMENTS[path]) | members
    return {name: value for name, value in changed.items() if value is not None}


def with_names(*names: str) -> Contents:
    """Each token's document on Base by these further names, in which `{}` is the token's number."""
    package = PACKAGE
    for token in (1, 2, 3):
        for name in names:
            package = with_document(
                package, f"metadata/base/{name.format(token)}", DOCUMENTS[f"metadata/base/{token}.json"]
            )
    return package


def test_a_package_that_means_what_it_says_is_verified():
    package = repackaged(PACKAGE, FILES)
    verified = verify(io.BytesIO(package), len(package))
    assert (verified.artworks, verified.chains) == (3, ["base", "ethereum", "tezos"])


def test_a_package_of_one_chain_is_verified():
    documents = [item for item in PACKAGE.documents if item.path.startswith("metadata/tezos/")]
    package = repackaged(msgspec.structs.replace(PACKAGE, documents=documents), FILES)
    assert verify(io.BytesIO(package), len(package)).chains == ["tezos"]


def test_names_without_an_extension_and_of_erc_1155_are_verified():
    package = repackaged(with_names("{}", "{:064x}", "{:064x}.json"), FILES)
    assert verify(io.BytesIO(package), len(package)).files == 3 + 12 + 9 + 1
    assert other_names("base", 255) == ["255", "0" * 62 + "ff", "0" * 62 + "ff.json"]
    assert other_names("tezos", 255) == ["255"]


def swapped(first: str, second: str) -> Contents:
    package = with_document(PACKAGE, first, DOCUMENTS[second])
    return with_document(package, second, DOCUMENTS[first])


def renamed(path: str, token: int, name: str) -> Contents:
    """The document of another token, under the name that belongs here."""
    return with_document(PACKAGE, path, document(f"metadata/base/{token}.json", name=name))


def formats(**members: Any) -> Contents:
    [item] = msgspec.json.decode(DOCUMENTS[TEZOS])["formats"]
    return with_document(PACKAGE, TEZOS, document(TEZOS, formats=[item | members]))


@pytest.mark.parametrize(
    ("package", "place", "words"),
    [
        (with_document(PACKAGE, BASE, document(BASE, image=FOREIGN)), (BASE, "/image"), "not a file of this package"),
        (
            with_document(PACKAGE, BASE, document(BASE, animation_url="https://elsewhere.test/2.mp4")),
            (BASE, "/animation_url"),
            "not a file of this package",
        ),
        (formats(uri=FOREIGN), (TEZOS, "/formats/0/uri"), "not a file of this package"),
        (swapped("metadata/base/1.json", BASE), ("metadata/base/1.json", "/name"), "of token 2"),
        (renamed(BASE, 3, "Tides #2"), (BASE, "/image"), "is a file of token 3, artworks/3.png"),
        (with_document(PACKAGE, BASE, None), (BASE, ""), "metadata of token 2 is missing"),
        (
            with_document(PACKAGE, "metadata/tezos/collection.json", None),
            ("metadata/tezos/collection.json", ""),
            "metadata of the collection is missing",
        ),
        (msgspec.structs.replace(PACKAGE, documents=[]), (MANIFEST, "/metadata"), "length >= 1"),
        (with_document(PACKAGE, BASE, "{"), (BASE, ""), "not JSON"),
        (with_document(PACKAGE, BASE, "[" * 100_000), (BASE, ""), "nested too deeply"),
        (with_document(PACKAGE, BASE, "[]"), (BASE, ""), "`array`"),
        (with_document(PACKAGE, BASE, DOCUMENTS[BASE].replace('{"', '{ "')), (BASE, ""), "not canonical JSON"),
        (with_document(PACKAGE, BASE, document(BASE, name=None)), (BASE, ""), "`name`"),
        (with_document(PACKAGE, BASE, document(BASE, name=2)), (BASE, "/name"), "expected `str`"),
        (with_document(PACKAGE, BASE, document(BASE, image=None)), (BASE, ""), "does not name the artwork"),
        (
            with_document(PACKAGE, BASE, document(BASE, attributes=[{"trait_type": "mood", "value": True}])),
            (BASE, "/attributes/0/value"),
            "`bool`",
        ),
        (with_document(PACKAGE, TEZOS, document(TEZOS, decimals="0")), (TEZOS, "/decimals"), "`int`"),
        (
            with_document(PACKAGE, "metadata/tezos/collection.json", {"name": "Tides"}),
            ("metadata/tezos/collection.json", ""),
            "`interfaces`",
        ),
        (formats(fileSize=1), (TEZOS, "/formats/0/fileSize"), "should be 341"),
        (formats(hash="sha256:" + "0" * 64), (TEZOS, "/formats/0/hash"), "should be sha256:"),
        (formats(mimeType="video/mp4"), (TEZOS, "/formats/0/mimeType"), "are image/png, not video/mp4"),
        (with_document(PACKAGE, "metadata/base/4.json", "{}"), ("metadata/base/4.json", ""), "no token 4"),
        (with_document(PACKAGE, "metadata/base/02.json", "{}"), ("metadata/base/02.json", ""), "no metadata file"),
        (with_document(PACKAGE, "metadata/solana/1.json", "{}"), ("metadata/solana/1.json", ""), "no metadata file"),
        (with_document(PACKAGE, "readme.txt", "{}"), ("readme.txt", ""), "no metadata file"),
        (with_document(PACKAGE, BASE, document(BASE, description="x" * 2**20)), (BASE, ""), "at most 1048576 bytes"),
        (with_document(with_names("{}"), "metadata/base/2", None), ("metadata/base/2", ""), "token 2 is missing"),
        (
            with_document(with_names("{}"), "metadata/base/2", DOCUMENTS["metadata/base/1.json"]),
            ("metadata/base/2", ""),
            "not the document of token 2",
        ),
    ],
)
def test_metadata_that_is_not_of_its_token_is_refused_with_its_place(
    package: Contents, place: tuple[str, str], words: str
):
    first = difference(repackaged(package, FILES))
    assert (first.path, first.pointer) == place, first.message
    assert words in first.message


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda manifest: manifest["artworks"][0].update(token=True), "/artworks/0/token"),
        (lambda manifest: manifest["artworks"][0].update(token="1"), "/artworks/0/token"),
        (lambda manifest: manifest["artworks"][2].update(token=2), "/artworks/2/token"),
        (lambda manifest: manifest["artworks"][1].pop("hash"), "/artworks/1"),
        (lambda manifest: manifest["artworks"][1].update(hash=None), "/artworks/1/hash"),
        (lambda manifest: manifest["artworks"][1].update(size=-1), "/artworks/1/size"),
        (lambda manifest: manifest["artworks"][1].update(sha256="AB" * 32), "/artworks/1/sha256"),
        (lambda manifest: manifest["artworks"][1].update(generation="x"), "/artworks/1/generation"),
        (lambda manifest: manifest["collection"].update(id="nonsense"), "/collection/id"),
        (lambda manifest: manifest["collection"].update(title=None), "/collection/title"),
        (lambda manifest: manifest.update(job_id=7), "/job_id"),
        (lambda manifest: manifest["provenance"].update(hash="none"), "/provenance/hash"),
        (lambda manifest: manifest["provenance"].update(algorithm="md5"), "/provenance"),
        (lambda manifest: manifest.update(profile=[]), "/profile"),
        (lambda manifest: manifest.update(metadata={}), "/metadata"),
        (lambda manifest: manifest["artworks"].clear(), "/artworks"),
    ],
)
def test_members_of_the_manifest_have_their_types(change: Change, pointer: str):
    first = difference(repackaged(PACKAGE, FILES, change))
    assert (first.path, first.pointer) == (MANIFEST, pointer), first.message


def test_a_package_without_artworks_is_refused():
    empty = contents([])
    assert difference(repackaged(empty, {})).pointer == "/artworks"


def test_an_artwork_at_the_path_of_another_token_is_refused():
    first, second, third = PACKAGE.artworks
    artworks = [
        msgspec.structs.replace(first, path=second.path),
        msgspec.structs.replace(second, path=first.path),
        third,
    ]
    files = FILES | {first.path: ARTWORKS[1], second.path: ARTWORKS[0]}
    refusal = difference(repackaged(msgspec.structs.replace(PACKAGE, artworks=artworks), files))
    assert (refusal.path, refusal.pointer) == ("artworks/2.png", "/artworks/0/path")
    assert "is at artworks/1.png" in refusal.message


def test_a_display_of_a_token_that_is_not_there_is_refused():
    display = msgspec.structs.replace(packaged(4, ARTWORKS[0]), path="displays/4.png")
    package = msgspec.structs.replace(PACKAGE, displays=[display])
    assert difference(repackaged(package, FILES | {display.path: ARTWORKS[0]})).pointer == "/displays/0/token"


def test_a_video_is_named_beside_the_image_that_represents_it():
    video, image = b"\0\0\0\x18ftypmp42", png(9)
    artwork = packaged(1, video, "video/mp4")
    display = msgspec.structs.replace(packaged(1, image), path="displays/1.png")
    documents = {path: text for path, text in documents_of(artwork).items() if "base" in path}
    documents["metadata/base/1"] |= {"image": f"ipfs://{display.cid}", "animation_url": f"ipfs://{artwork.cid}"}
    documents["metadata/base/collection"] = {"name": "Tides"}
    texts = [
        PackagedDocument(f"{path}.json", msgspec.json.encode(text, order="sorted").decode())
        for path, text in documents.items()
    ]
    package = msgspec.structs.replace(PACKAGE, artworks=[artwork], displays=[display], documents=texts)
    files = {artwork.path: video, display.path: image}
    data = repackaged(package, files)
    assert verify(io.BytesIO(data), len(data)).files == 5
    lacking = with_document(
        package, "metadata/base/1.json", documents["metadata/base/1"] | {"animation_url": f"ipfs://{display.cid}"}
    )
    first = difference(repackaged(lacking, files))
    assert (first.pointer, "not the artwork of token 1" in first.message) == ("/animation_url", True)


def test_a_mime_type_that_the_bytes_are_not_of_is_refused():
    artworks = [png(40), b"GIF89a" + bytes(60), png(5)]
    package = contents(artworks, "image/png")
    first = difference(repackaged(package, {item.path: artworks[item.token - 1] for item in package.artworks}))
    assert (first.path, first.pointer) == ("artworks/2.png", "/artworks/1/mime_type")
    assert "image/png, but the bytes are image/gif" in first.message


def test_another_root_than_the_expected_one_is_refused():
    package = repackaged(PACKAGE, FILES)
    root = verify(io.BytesIO(package), len(package)).root
    assert verify(io.BytesIO(package), len(package), root=root).root == root
    with pytest.raises(Difference, match="the package's root is baf"):
        verify(io.BytesIO(package), len(package), root=FOREIGN.removeprefix("ipfs://"))


def rendition(token: int, kind: str, content: bytes, /, **changes: Any) -> PackagedRendition:
    like = msgspec.structs.asdict(packaged(token, content, "image/webp"))
    members = like | {"path": f"renditions/{token}.{kind}.webp", "kind": kind, "width": 350, "height": 175}
    return PackagedRendition(**(members | changes))


WEBP = {kind: b"RIFF\0\0\0\0WEBP" + kind.encode() for kind in ("display", "thumbnail")}


def with_renditions(**changes: Any) -> bytes:
    """The package with two copies of the image of token 2, which the document of that token names."""
    renditions = [rendition(2, kind, content, **changes) for kind, content in WEBP.items()]
    uris = {f"{item.kind}Uri": f"ipfs://{item.cid}" for item in renditions}
    package = with_document(PACKAGE, TEZOS, document(TEZOS, **uris))
    files = FILES | {item.path: WEBP[item.kind] for item in renditions}
    return repackaged(msgspec.structs.replace(package, renditions=renditions), files)


def test_a_package_with_smaller_copies_is_of_the_second_format_and_verified():
    package = with_renditions()
    assert b'"format":"emprops-package.v2"' in package
    assert verify(io.BytesIO(package), len(package)).artworks == 3
    assert b'"format":"emprops-package.v1"' in repackaged(PACKAGE, FILES)


def test_a_copy_of_another_tokens_image_is_refused():
    renditions = [rendition(1, kind, content) for kind, content in WEBP.items()]
    uris = {"thumbnailUri": f"ipfs://{renditions[1].cid}"}
    package = with_document(PACKAGE, TEZOS, document(TEZOS, **uris))
    files = FILES | {item.path: WEBP[item.kind] for item in renditions}
    refused = difference(repackaged(msgspec.structs.replace(package, renditions=renditions), files))
    assert (refused.path, refused.pointer) == (TEZOS, "/thumbnailUri")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"mime_type": "image/png"}, "/renditions/0/mime_type"),
        ({"token": 9}, "/renditions/0/token"),
        ({"width": 0}, "/renditions/0/width"),
        ({"token": 1}, "/renditions/0/path"),
    ],
)
def test_a_copy_that_is_not_what_the_manifest_says_is_refused(changes: dict[str, Any], pointer: str):
    assert difference(with_renditions(**changes)).pointer == pointer
