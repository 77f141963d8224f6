"""Verifies that a CAR file is a complete publish package and has no other bytes.

First all bytes, then what they mean: the manifest (`manifest_check`) and the metadata (`metadata_check`).

Blocks are read in their order in the file. Each block's CID is known before it is read: the root's from the header, all
others from earlier nodes. So the first difference is reported with its path and its byte offset, and every byte is
covered. Memory holds one block, the offset of each block, a digest of each file, and the manifest.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from shared.content import car, varint
from shared.content.cid import LENGTH, RAW, Cid, NotACid
from shared.content.difference import Difference, VerifiedFile
from shared.content.directories import Entry, directory
from shared.content.files import CHUNK, FileImporter, dag_size
from shared.content.manifest_check import checked_manifest
from shared.content.media import kind_of
from shared.content.metadata_check import check_metadata
from shared.content.nodes import FILE, HAMT, Block, NotANode, decode
from shared.content.package import MANIFEST

MAX_DEPTH = 12
"""Levels of blocks in one directory or file, and of nested directories; no package has as many."""


class Verified(msgspec.Struct, frozen=True):
    """A valid package: its root CID, counts, size in bytes, provenance hash, and the ids of its collection and job.

    `chains`: those that it has metadata for, by the names of their folders.
    """

    root: str
    blocks: int
    files: int
    artworks: int
    size: int
    provenance: str
    collection_id: str
    job_id: str
    chains: list[str]


class _Extent(NamedTuple):
    """Where a block's content is in the file, after its length and CID."""

    offset: int
    length: int


def verify(
    file: BinaryIO, size: int, progress: Callable[[int], None] = lambda _read: None, *, root: str | None = None
) -> Verified:
    """Verifies the package in `file`, of `size` bytes, and that its root CID is `root` if that is set.

    Raises Difference. `progress` gets the bytes read so far.
    """
    reader = _Reader(file, size, progress)
    actual_root = reader.root()
    if root is not None and str(actual_root) != root:
        raise Difference("", car.ROOT_OFFSET, f"the package's root is {actual_root}, not {root}")
    walk = _Walk(reader)
    walk.directory(actual_root, "")
    if reader.offset != size:
        raise Difference("", reader.offset, f"{size - reader.offset} bytes follow the last block of the package")
    if MANIFEST not in walk.files:
        raise Difference(MANIFEST, car.HEADER_LENGTH, "the manifest is missing")
    manifest = checked_manifest(walk.manifest, walk.files)
    chains = check_metadata(manifest, walk.files, walk.content)
    return Verified(
        root=str(actual_root),
        blocks=len(reader.extents),
        files=len(walk.files),
        artworks=len(manifest.artworks),
        size=size,
        provenance=manifest.provenance.hash,
        collection_id=str(manifest.collection.id),
        job_id=str(manifest.job_id),
        chains=chains,
    )


class _Reader:
    """Reads the file's blocks, which must come in depth-first order."""

    def __init__(self, file: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        self._file, self._size, self._progress = file, size, progress
        self.offset = 0
        self.extents: dict[Cid, _Extent] = {}

    def root(self) -> Cid:
        if self._size == 0:
            raise Difference("", 0, "the file is empty")
        data = self._file.read(car.HEADER_LENGTH)
        try:
            root = car.root_of(data)
        except (car.NotACar, NotACid) as error:
            raise Difference("", 0, str(error)) from error
        self.offset = car.HEADER_LENGTH
        return root

    def block(self, cid: Cid, path: str) -> bytes:
        """The bytes of this block, which must come next unless it has been read before."""
        extent = self.extents.get(cid)
        if extent is not None:
            self._file.seek(extent.offset)
            data = self._file.read(extent.length)
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
        self.extents[cid] = _Extent(start, length)
        self.offset = start + length
        self._progress(self.offset)
        return data

    def _expect(self, cid: Cid, path: str) -> int:
        """Reads what precedes a block, checks its CID, and returns its length."""
        head = self._file.read(varint.MAX_BYTES + LENGTH)
        if not head:
            raise Difference(path, self.offset, f"the file ends where block {cid} should begin: it was cut off")
        try:
            length, begin = varint.decode(head)
            actual = Cid.read(head, begin)
        except (varint.BadVarint, NotACid) as error:
            raise Difference(path, self.offset, f"no block begins here: {error}") from error
        if actual != cid and self.offset == car.HEADER_LENGTH and actual.digest == self._digest(begin + LENGTH, length):
            raise Difference(path, car.ROOT_OFFSET, f"the header names the root {cid}, but the first block is {actual}")
        if actual != cid:
            raise Difference(path, self.offset, f"block {cid} is expected here, but it is {actual}")
        if not LENGTH <= length <= CHUNK + LENGTH:
            raise Difference(path, self.offset, f"the block has {length - LENGTH} bytes; at most 1 MiB is allowed")
        self.offset += begin + LENGTH
        self._file.seek(self.offset)
        return length - LENGTH

    def _digest(self, begin: int, length: int) -> bytes:
        """sha256 of the content that begins `begin` bytes after `offset`."""
        self._file.seek(self.offset + begin)
        return hashlib.sha256(self._file.read(max(0, min(length, CHUNK + LENGTH) - LENGTH))).digest()


class _Walk:
    """A depth-first walk through the package; `files` are those visited so far, by path."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self.files: dict[str, VerifiedFile] = {}
        self.manifest = b""
        self._measured: dict[Cid, VerifiedFile] = {}

    def directory(self, cid: Cid, path: str) -> Entry:
        """Verifies a directory and all below it: their layout under the profile, and their sizes."""
        at = self._reader.offset
        if path.count("/") > MAX_DEPTH:
            raise Difference(path, at, f"directories are nested more than {MAX_DEPTH} levels deep")
        entries = list(self._entries(cid, path))
        names = [entry.name for entry in entries]
        wrong = next((name for name in names if name in ("", ".", "..") or "/" in name), None)
        if wrong is not None or len(set(names)) < len(names):
            raise Difference(
                path, at, f"an entry can't have the name {wrong!r}" if wrong else "two entries have the same name"
            )
        expected = directory(entries)
        if expected.cid != cid:
            raise Difference(path, at, f"under the profile this directory is {expected.cid}, but here it is {cid}")
        return Entry(path.rstrip("/").rpartition("/")[2], cid, expected.size)

    def _entries(self, cid: Cid, path: str, level: int = 0) -> Iterator[Entry]:
        """The entries of a directory, from all its blocks, each with its actual size."""
        at = self._reader.offset
        node = self._node(cid, path)
        if level > MAX_DEPTH:
            raise Difference(path, at, f"the blocks of this directory are more than {MAX_DEPTH} levels deep")
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
            raise Difference(path, at, f"block {cid} is raw content of a file where a node should be")
        try:
            return decode(self._reader.block(cid, path))
        except NotANode as error:
            raise Difference(path, at, f"block {cid} is not a node of a file or directory: {error}") from error

    def _file(self, cid: Cid, path: str) -> VerifiedFile:
        """Verifies a file, by importing its bytes again."""
        file = self._measured.get(cid)
        if file is None or path == MANIFEST:
            extent = self._reader.extents.get(cid)
            at = extent.offset if extent else self._reader.offset
            importer, digest, size, kind = FileImporter(), hashlib.sha256(), 0, kind_of(b"")
            for chunk in self._chunks(cid, path):
                if size == 0:
                    kind = kind_of(chunk)
                importer.update(chunk)
                digest.update(chunk)
                size += len(chunk)
                if path == MANIFEST:
                    self.manifest += chunk
            expected = importer.finish().cid
            if expected != cid:
                raise Difference(path, at, f"under the profile this file is {expected}, but here it is {cid}")
            file = self._measured[cid] = VerifiedFile(cid, size, digest.hexdigest(), at, kind)
        self.files[path] = file
        return file

    def content(self, path: str) -> bytes:
        """The bytes of a file that has been visited."""
        return b"".join(self._chunks(self.files[path].cid, path))

    def _chunks(self, cid: Cid, path: str, level: int = 0) -> Iterator[bytes]:
        if cid.codec == RAW:
            yield self._reader.block(cid, path)
            return
        at = self._reader.offset
        node = self._node(cid, path)
        if node.kind != FILE or level > MAX_DEPTH:
            message = "is a directory within a file" if node.kind != FILE else f"is more than {MAX_DEPTH} levels deep"
            raise Difference(path, at, f"block {cid} {message}")
        for link in node.links:
            yield from self._chunks(link.cid, path, level + 1)
