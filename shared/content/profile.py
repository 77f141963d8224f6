"""The profile's parameters, as manifests record them with the CIDs."""

from shared.content.directories import BLOCK_LIMIT
from shared.content.files import CHUNK, WIDTH
from shared.content.nodes import FANOUT

PROFILE = {
    "name": "unixfs-v1-2025",
    "specification": "IPIP-0499",
    "cid_version": 1,
    "hash": "sha2-256",
    "chunk_size": CHUNK,
    "leaves": "raw",
    "layout": "balanced",
    "links_per_node": WIDTH,
    "directory_block_limit": BLOCK_LIMIT,
    "hamt_fanout": FANOUT,
}
