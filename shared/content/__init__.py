"""Content addressing: CIDs, UnixFS and CAR files, pure and streaming.

The profile is `unixfs-v1-2025` of IPIP-0499 (https://specs.ipfs.tech/ipips/ipip-0499/): CIDv1, sha2-256, raw leaves of
1 MiB, a balanced DAG of at most 1024 links a node, directories as one block up to 256 KiB and as a HAMT of 256 links a
node above. Any implementation of that profile gives the same CIDs for the same files.
"""

from shared.content.cid import Cid, NotACid
from shared.content.directories import Entry, directory
from shared.content.files import CHUNK, FileImporter, Leaf, balanced, cid_of
from shared.content.nodes import Node

PROFILE = {
    "name": "unixfs-v1-2025",
    "specification": "IPIP-0499",
    "cid_version": 1,
    "hash": "sha2-256",
    "chunk_size": CHUNK,
    "leaves": "raw",
    "layout": "balanced",
    "links_per_node": 1024,
    "directory_block_limit": 262144,
    "hamt_fanout": 256,
}
"""The profile's parameters, as they are written down beside the CIDs."""

__all__ = [
    "CHUNK",
    "PROFILE",
    "Cid",
    "Entry",
    "FileImporter",
    "Leaf",
    "Node",
    "NotACid",
    "balanced",
    "cid_of",
    "directory",
]
