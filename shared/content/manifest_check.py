"""Compares a package's manifest with the package's files. Raises Difference for the first thing that is not true."""

from collections.abc import Mapping, Sequence

import msgspec

from shared.content.difference import Difference, VerifiedFile
from shared.content.manifest_forms import (
    ListedArtwork,
    ListedFile,
    ListedRendition,
    Manifest,
    NotOfForm,
    read,
)
from shared.content.media import OTHER_EXTENSION, extension, fits
from shared.content.package import FORMAT, FORMAT_WITH_RENDITIONS, MANIFEST, PROVENANCE, canonical, provenance
from shared.content.profile import PROFILE

SECTIONS = ("artworks", "displays", "renditions", "metadata")
RENDITION = "image/webp"
"""The type of smaller copies."""


def checked_manifest(text: bytes, files: Mapping[str, VerifiedFile]) -> Manifest:
    """The manifest: each member has its type, it lists the package's files, and numbers the tokens 1, 2, 3, ….

    Each artwork and display is at its token's path, and its bytes are of its mime type.
    """
    at = files[MANIFEST].offset
    try:
        manifest = read(text, Manifest)
    except NotOfForm as error:
        message = f"the manifest is not of the format {FORMAT}: {error.message}"
        raise Difference(MANIFEST, at, message, error.pointer) from error
    for place, artwork in enumerate(manifest.artworks):
        if artwork.token != place + 1:
            message = f"the tokens are not numbered 1, 2, 3, …: here is {artwork.token}, not {place + 1}"
            raise Difference(MANIFEST, at, message, f"/artworks/{place}/token")
    _compare_files(manifest, files)
    for section in ("artworks", "displays", "renditions"):
        listed: Sequence[ListedArtwork] = getattr(manifest, section)
        for place, item in enumerate(listed):
            _check_token_file(section, item, files[item.path], len(manifest.artworks), f"/{section}/{place}", at)
    _compare_facts(manifest, files)
    return manifest


def _compare_files(manifest: Manifest, files: Mapping[str, VerifiedFile]) -> None:
    at = files[MANIFEST].offset
    descriptions: dict[str, tuple[str, ListedFile]] = {}
    for section in SECTIONS:
        for place, item in enumerate(getattr(manifest, section)):
            if item.path in descriptions:
                raise Difference(item.path, at, "the manifest lists this file twice")
            descriptions[item.path] = (f"/{section}/{place}", item)
    for path in sorted({*descriptions, *files} - {MANIFEST}):
        file, description = files.get(path), descriptions.get(path)
        if file is None:
            raise Difference(path, at, "the manifest lists this file, but the package lacks it")
        if description is None:
            raise Difference(path, file.offset, "the package has this file, but the manifest does not list it")
        pointer, item = description
        for name, fact in (("cid", str(file.cid)), ("size", file.size), ("sha256", file.sha256)):
            if getattr(item, name) != fact:
                message = f"the manifest says {name} {getattr(item, name)}, but it is {fact}"
                raise Difference(path, file.offset, message, f"{pointer}/{name}")


def _check_token_file(
    section: str, item: ListedArtwork, file: VerifiedFile, tokens: int, pointer: str, at: int
) -> None:
    """Whether an artwork or a display is at its token's path, and has bytes of its mime type."""
    if item.token > tokens:
        raise Difference(MANIFEST, at, f"there is no token {item.token}: the last is {tokens}", f"{pointer}/token")
    if isinstance(item, ListedRendition):
        names = {f"{section}/{item.token}.{item.kind}.{extension(RENDITION)}"}
        if item.mime_type != RENDITION:
            raise Difference(
                MANIFEST, at, f"a smaller copy is {RENDITION}, not {item.mime_type}", f"{pointer}/mime_type"
            )
    else:
        names = {f"{section}/{item.token}.{ending}" for ending in (extension(item.mime_type), OTHER_EXTENSION)}
    if item.path not in names:
        message = f"a file of token {item.token} with mime type {item.mime_type} is at {min(names, key=_is_other)}"
        raise Difference(item.path, at, message, f"{pointer}/path")
    if not fits(item.mime_type, file.kind):
        message = f"the manifest says mime type {item.mime_type}, but the bytes are {file.kind}"
        raise Difference(item.path, file.offset, message, f"{pointer}/mime_type")


def _is_other(path: str) -> bool:
    return path.endswith(f".{OTHER_EXTENSION}")


def _compare_facts(manifest: Manifest, files: Mapping[str, VerifiedFile]) -> None:
    """Whether format, profile and provenance are those of this format and of these files."""
    digest = provenance(files[artwork.path].sha256 for artwork in manifest.artworks)
    form = FORMAT_WITH_RENDITIONS if manifest.renditions else FORMAT
    facts = {"format": form, "profile": PROFILE, "provenance": {"algorithm": PROVENANCE, "hash": digest}}
    for name, fact in facts.items():
        if msgspec.to_builtins(getattr(manifest, name)) != fact:
            message = f"/{name} should be {canonical(fact).decode()}"
            raise Difference(MANIFEST, files[MANIFEST].offset, message, f"/{name}")
