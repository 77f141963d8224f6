"""Checks the metadata documents of a package: there is one for each token on each chain, and it is of that token.

Raises Difference for the first thing that is wrong. Memory holds one document, and the manifest.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping

import msgspec

from shared.content.difference import Difference, VerifiedFile
from shared.content.document_names import COLLECTION, EXTENSION, FOLDER, PLAIN, TokenName, token_of
from shared.content.manifest_forms import ListedArtwork, Manifest, NotOfForm, read
from shared.content.media import fits
from shared.content.metadata_forms import FORMS, EvmToken, FileReference, TezosToken
from shared.content.package import MANIFEST

MAX_DOCUMENT = 1024 * 1024
"""Bytes of one document: of one block. What storage packages is smaller."""
SCHEME = "ipfs://"

_NUMBER = re.compile(r"#([0-9]{1,18})\Z")


def check_metadata(manifest: Manifest, files: Mapping[str, VerifiedFile], content: Callable[[str], bytes]) -> list[str]:
    """The chains that the package has metadata for. `content` reads a file by its path."""
    names: dict[str, list[str]] = defaultdict(list)
    for item in manifest.metadata:
        folder, chain, name = [*item.path.split("/", 2), "", ""][:3]
        if folder != FOLDER or chain not in FORMS or (name != COLLECTION and token_of(name) is None):
            raise Difference(item.path, files[item.path].offset, f"this is no metadata file of {' or '.join(FORMS)}")
        names[chain].append(name)
    tokens = _files_of_tokens(manifest)
    for chain, names_of_chain in sorted(names.items()):
        _check_names(chain, names_of_chain, files, len(tokens))
        _document(f"{FOLDER}/{chain}/{COLLECTION}", files, content, FORMS[chain].collection)
        for number, listed in enumerate(tokens, start=1):
            path = f"{FOLDER}/{chain}/{number}{EXTENSION}"
            document = _document(path, files, content, FORMS[chain].token)
            assert isinstance(document, EvmToken | TezosToken), "a token's document has a token's form"
            _check_token(path, files, document, number, listed, manifest)
    return sorted(names)


def _files_of_tokens(manifest: Manifest) -> list[list[ListedArtwork]]:
    """For each token its artwork, and then its other images."""
    tokens: list[list[ListedArtwork]] = [[artwork] for artwork in manifest.artworks]
    for image in (*manifest.displays, *manifest.renditions):
        tokens[image.token - 1].append(image)
    return tokens


def _check_names(chain: str, names: list[str], files: Mapping[str, VerifiedFile], tokens: int) -> None:
    """Whether each token has a document, by all the forms of names that any token has one by."""
    forms = defaultdict[TokenName, dict[int, str]](dict, {PLAIN: {}})
    for name in names:
        token = token_of(name)
        if token is None:
            continue
        path = f"{FOLDER}/{chain}/{name}"
        if not 1 <= token.number <= tokens:
            raise Difference(
                path, files[path].offset, f"there is no token {token.number}: the tokens are 1 to {tokens}"
            )
        forms[token._replace(number=0)][token.number] = path
    at = files[MANIFEST].offset
    for form, paths in forms.items():
        missing = next((number for number in range(1, tokens + 1) if number not in paths), None)
        if missing is not None:
            name = format(missing, "064x") if form.is_hexadecimal else str(missing)
            path = f"{FOLDER}/{chain}/{name}{EXTENSION if form.has_extension else ''}"
            raise Difference(path, at, f"the metadata of token {missing} is missing")
        for number, path in paths.items():
            if files[path].cid != files[forms[PLAIN][number]].cid:
                message = f"this is not the document of token {number}, {forms[PLAIN][number]}"
                raise Difference(path, files[path].offset, message)
    if COLLECTION not in names:
        raise Difference(f"{FOLDER}/{chain}/{COLLECTION}", at, "the metadata of the collection is missing")


def _document(
    path: str, files: Mapping[str, VerifiedFile], content: Callable[[str], bytes], form: type[msgspec.Struct]
) -> msgspec.Struct:
    """A document of the package. Raises Difference if it is not of its form."""
    file = files[path]
    if file.size > MAX_DOCUMENT:
        raise Difference(path, file.offset, f"a document has at most {MAX_DOCUMENT} bytes, but this one {file.size}")
    try:
        return read(content(path), form)
    except NotOfForm as error:
        raise Difference(path, file.offset, error.message, error.pointer) from error


def _check_token(
    path: str,
    files: Mapping[str, VerifiedFile],
    document: EvmToken | TezosToken,
    number: int,
    listed: list[ListedArtwork],
    manifest: Manifest,
) -> None:
    """Whether a token's document has that token's number, and names that token's files and no others."""
    at = files[path].offset
    ending = _NUMBER.search(document.name)
    if ending is not None and int(ending[1]) != number:
        message = f"this document is of token {ending[1]}, but it is the file of token {number}"
        raise Difference(path, at, message, "/name")
    by_uri = {f"{SCHEME}{item.cid}": item for item in listed}
    for reference in document.files():
        if reference.uri not in by_uri:
            raise Difference(path, at, _foreign(reference, number, manifest), reference.pointer)
    artwork = document.artwork
    if artwork is None:
        raise Difference(path, at, f"the document does not name the artwork of token {number}")
    if artwork.uri != f"{SCHEME}{listed[0].cid}":
        raise Difference(path, at, f"this is not the artwork of token {number}, {listed[0].path}", artwork.pointer)
    if isinstance(document, TezosToken):
        _check_formats(path, files, document, by_uri)


def _foreign(reference: FileReference, number: int, manifest: Manifest) -> str:
    """Says what a URI is that is not of one of the token's files."""
    for item in (*manifest.artworks, *manifest.displays, *manifest.renditions):
        if reference.uri == f"{SCHEME}{item.cid}":
            return f"{reference.uri} is a file of token {item.token}, {item.path}, not of token {number}"
    return f"{reference.uri} is not a file of this package"


def _check_formats(
    path: str, files: Mapping[str, VerifiedFile], document: TezosToken, by_uri: Mapping[str, ListedArtwork]
) -> None:
    """Whether `formats` says of each file what is true of its bytes."""
    for place, item in enumerate(document.formats):
        file, at = by_uri[item.uri], files[path].offset
        for name, statement, fact in (
            ("fileSize", item.fileSize, file.size),
            ("hash", item.hash, f"sha256:{file.sha256}"),
        ):
            if statement not in (msgspec.UNSET, fact):
                raise Difference(path, at, f"{name} should be {fact}, that of {file.path}", f"/formats/{place}/{name}")
        kind = files[file.path].kind
        if not fits(item.mimeType, kind):
            message = f"the bytes of {file.path} are {kind}, not {item.mimeType}"
            raise Difference(path, at, message, f"/formats/{place}/mimeType")
