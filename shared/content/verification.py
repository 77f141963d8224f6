"""Whether a CAR file is a whole publish package, and nothing else, down to its last byte.

The file is read once, in order. Of every block it is known beforehand which one it must be: the root from the header,
all others from the nodes before them. So the first thing that differs is named with its path and its place in the file,
and no byte is left that could be another one unnoticed. Held in memory are one block and the place of each.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from shared.content import car, varint
from shared.content.cid import LENGTH, RAW, Cid, NotACid
from shared.content.directories import Entry, directory
from shared.content.files import CHUNK, FileImporter, dag_size
from shared.content.nodes import FILE, HAMT, Block, NotANode, decode
from shared.content.package import FORMAT, MANIFEST, PROVENANCE, canonical, provenance
from shared.content.profile import PROFILE

DEPTH = 12
"""Levels of blocks below each other in one directory or file, and directories within each other: more than any has."""


class Difference(Exception):  # noqa: N818 - what was found
    """The first thing in which a file is not what it should be: where in the package, and at which byte of the file."""

    def __init__(self, path: str, offset: int, message: str) -> None:
        super().__init__(message)
        self.path, self.offset, self.message = path or "/", offset, message


class VerifiedFile(NamedTuple):
    """`offset` is where its first block stands in the CAR file."""

    cid: Cid
    size: int
    sha256: str
    offset: int


class Verified(msgspec.Struct, frozen=True):
    root: str
    blocks: int
    files: int
    artworks: int
    size: int
    provenance: str
    collection_id: str
    job_id: str


class _Placed(NamedTuple):
    """Where the content of a block that was read stands, after its length and CID."""

    offset: int
    length: int


def verify(file: BinaryIO, size: int, progress: Callable[[int], None] = lambda _read: None) -> Verified:
    """What the package in `file`, of `size` bytes, holds. Raises Difference. `progress` is told the bytes read."""
    reader = _Reader(file, size, progress)
    root = reader.root()
    walk = _Walk(reader)
    walk.directory(root, "")
    if reader.offset != size:
        raise Difference("", reader.offset, f"{size - reader.offset} bytes follow the last block of the package")
    described = _manifest(walk)
    return Verified(
        root=str(root),
        blocks=len(reader.placed),
        files=len(walk.files),
        artworks=len(described["artworks"]),
        size=size,
        provenance=described["provenance"]["hash"],
        collection_id=described["collection"]["id"],
        job_id=described["job_id"],
    )


class _Reader:
    """The file's blocks, in the one order that they may have."""

    def __init__(self, file: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        self._file, self._size, self._progress = file, size, progress
        self.offset = 0
        self.placed: dict[Cid, _Placed] = {}

    def root(self) -> Cid:
        if self._size == 0:
            raise Difference("", 0, "the file is empty")
        data = self._file.read(car.HEADER_LENGTH)
        try:
            found = car.root_of(data)
        except (car.NotACar, NotACid) as error:
            raise Difference("", 0, str(error)) from error
        self.offset = car.HEADER_LENGTH
        return found

    def block(self, cid: Cid, path: str) -> bytes:
        """The bytes of this block, which must come next unless it came before."""
        known = self.placed.get(cid)
        if known is not None:
            self._file.seek(known.offset)
            data = self._file.read(known.length)
            self._file.seek(self.offset)
            return data
        frame = self.offset
        length = self._expect(cid, path)
        start = self.offset
        if length > self._size - start:
            message = f"the file ends {length - (self._size - start)} bytes before this block does: it was cut off"
            raise Difference(path, frame, message)
        data = self._file.read(length)
        if hashlib.sha256(data).digest() != cid.digest:
            raise Difference(path, frame, f"the {length} bytes of the block that begins here are not those of {cid}")
        self.placed[cid] = _Placed(start, length)
        self.offset = start + length
        self._progress(self.offset)
        return data

    def _expect(self, cid: Cid, path: str) -> int:
        """Reads what stands before a block; the block's length."""
        head = self._file.read(varint.MAX_BYTES + LENGTH)
        if not head:
            raise Difference(path, self.offset, f"the file ends where block {cid} should begin: it was cut off")
        try:
            length, begin = varint.decode(head)
            found = Cid.read(head, begin)
        except (varint.BadVarint, NotACid) as error:
            raise Difference(path, self.offset, f"no block begins here: {error}") from error
        if found != cid and self.offset == car.HEADER_LENGTH and found.digest == self._digest(begin + LENGTH, length):
            raise Difference(path, car.ROOT_OFFSET, f"the header names the root {cid}, but the first block is {found}")
        if found != cid:
            raise Difference(path, self.offset, f"here should be block {cid}, but it is {found}")
        if not LENGTH <= length <= CHUNK + LENGTH:
            raise Difference(path, self.offset, f"a block of {length - LENGTH} bytes, when 1 MiB is the most")
        self.offset += begin + LENGTH
        self._file.seek(self.offset)
        return length - LENGTH

    def _digest(self, begin: int, length: int) -> bytes:
        """sha256 of the content that begins so many bytes from here."""
        self._file.seek(self.offset + begin)
        return hashlib.sha256(self._file.read(max(0, min(length, CHUNK + LENGTH) - LENGTH))).digest()


class _Walk:
    """The way through the package, depth-first; `files` are those that were met."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self.files: dict[str, VerifiedFile] = {}
        self.manifest = b""
        self._measured: dict[Cid, VerifiedFile] = {}

    def directory(self, cid: Cid, path: str) -> Entry:
        """A directory, and all below it: laid out as the profile says, its sizes true."""
        at = self._reader.offset
        if path.count("/") > DEPTH:
            raise Difference(path, at, f"directories lie more than {DEPTH} deep in each other")
        entries = list(self._entries(cid, path))
        names = [entry.name for entry in entries]
        wrong = next((name for name in names if name in ("", ".", "..") or "/" in name), None)
        if wrong is not None or len(set(names)) < len(names):
            raise Difference(
                path, at, f"a directory can't have the name {wrong!r}" if wrong else "a name is there twice"
            )
        made = directory(entries)
        if made.cid != cid:
            raise Difference(path, at, f"under the profile this directory would be {made.cid}, but it is {cid}")
        return Entry(path.rstrip("/").rpartition("/")[2], cid, made.size)

    def _entries(self, cid: Cid, path: str, level: int = 0) -> Iterator[Entry]:
        """What is in a directory, over all its blocks, each entry with its true size."""
        at = self._reader.offset
        node = self._node(cid, path)
        if level > DEPTH:
            raise Difference(path, at, f"the blocks of this directory lie more than {DEPTH} deep")
        if node.kind == FILE:
            raise Difference(path, at, f"block {cid} is a file where a directory should be")
        for link in node.links:
            if node.kind == HAMT and len(link.name) == 2:
                yield from self._entries(link.cid, path, level + 1)
                continue
            name = link.name[2:] if node.kind == HAMT else link.name
            if link.cid.codec != RAW and self._node(link.cid, path + name).kind != FILE:
                yield self.directory(link.cid, f"{path}{name}/")
            else:
                file = self._file(link.cid, path + name)
                yield Entry(name, link.cid, dag_size(file.size))

    def _node(self, cid: Cid, path: str) -> Block:
        at = self._reader.offset
        if cid.codec == RAW:
            raise Difference(path, at, f"block {cid} is the bytes of a file where a node should be")
        try:
            return decode(self._reader.block(cid, path))
        except NotANode as error:
            raise Difference(path, at, f"block {cid} is no node of a file or directory: {error}") from error

    def _file(self, cid: Cid, path: str) -> VerifiedFile:
        """A file, imported again from its bytes."""
        found = self._measured.get(cid)
        if found is None or path == MANIFEST:
            placed = self._reader.placed.get(cid)
            at = placed.offset if placed else self._reader.offset
            importer, digest, size = FileImporter(), hashlib.sha256(), 0
            for chunk in self._chunks(cid, path):
                importer.update(chunk)
                digest.update(chunk)
                size += len(chunk)
                if path == MANIFEST:
                    self.manifest += chunk
            again = importer.finish().cid
            if again != cid:
                raise Difference(path, at, f"under the profile this file would be {again}, but it is {cid}")
            found = self._measured[cid] = VerifiedFile(cid, size, digest.hexdigest(), at)
        self.files[path] = found
        return found

    def _chunks(self, cid: Cid, path: str, level: int = 0) -> Iterator[bytes]:
        if cid.codec == RAW:
            yield self._reader.block(cid, path)
            return
        at = self._reader.offset
        node = self._node(cid, path)
        if node.kind != FILE or level > DEPTH:
            message = "is a directory in the middle of a file" if node.kind != FILE else f"lies more than {DEPTH} deep"
            raise Difference(path, at, f"block {cid} {message}")
        for link in node.links:
            yield from self._chunks(link.cid, path, level + 1)


def _manifest(walk: _Walk) -> dict[str, Any]:
    """The manifest, which must say of the package what it is."""
    if MANIFEST not in walk.files:
        raise Difference(MANIFEST, car.HEADER_LENGTH, "a publish package has a manifest, and this file has none")
    at = walk.files[MANIFEST].offset
    try:
        described = msgspec.json.decode(walk.manifest)
        _compare_files(described, walk.files)
        facts = {
            "format": FORMAT,
            "profile": PROFILE,
            "provenance": {
                "algorithm": PROVENANCE,
                "hash": provenance(walk.files[each["path"]].sha256 for each in described["artworks"]),
            },
        }
        str(described["collection"]["id"]), str(described["job_id"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Difference(MANIFEST, at, f"the manifest is not of the format {FORMAT}: {error!r}") from error
    for name, fact in facts.items():
        if described.get(name) != fact:
            raise Difference(MANIFEST, at, f"/{name} should be {canonical(fact).decode()}")
    if [each.get("token") for each in described["artworks"]] != list(range(1, len(described["artworks"]) + 1)):
        raise Difference(MANIFEST, at, "the tokens of /artworks are not numbered from 1 in their order")
    if canonical(described) != walk.manifest:
        raise Difference(MANIFEST, at, "the manifest is not canonical JSON: sorted members, no spaces")
    return dict(described)


def _compare_files(described: Mapping[str, Any], files: Mapping[str, VerifiedFile]) -> None:
    listed: dict[str, Mapping[str, Any]] = {}
    sections: Sequence[str] = ("artworks", "displays", "metadata")
    for each in (each for section in sections for each in described[section]):
        if each["path"] in listed:
            raise Difference(each["path"], files[MANIFEST].offset, "the manifest lists this file twice")
        listed[each["path"]] = each
    for path in sorted({*listed, *files} - {MANIFEST}):
        file, said = files.get(path), listed.get(path)
        if file is None:
            raise Difference(path, files[MANIFEST].offset, "the manifest lists this file, but it is not there")
        if said is None:
            raise Difference(path, file.offset, "this file is there, but the manifest does not list it")
        for name, fact in (("cid", str(file.cid)), ("size", file.size), ("sha256", file.sha256)):
            if said[name] != fact:
                raise Difference(path, file.offset, f"the manifest says {name} {said[name]}, but it is {fact}")
