"""Examples of publish packages in the OpenAPI document: a package of one token, with computed CIDs and hashes."""

import hashlib
from uuid import UUID

from services.collections.routes.examples import (
    COLLECTION_ID,
    COLLECTION_METADATA,
    GID,
    JOB_ID,
    PUBLIC,
    TOKEN_METADATA,
    USER_ID,
)
from shared.content.document_names import other_names
from shared.content.files import cid_of
from shared.content.package import PROVENANCE, Contents, canonical, manifest, plan
from shared.contracts.collections import PackagedArtwork, PackagedDocument

PACKAGE_ID = "5d4c3b2a-1908-5f7e-8d6c-5b4a39281706"
CONTENT = b"a tide"

_ARTWORK = PackagedArtwork(
    token=1,
    gid=UUID(GID),
    hash="1d" * 32,
    path="artworks/1.png",
    asset_id=71,
    source=f"generations/{USER_ID}/{JOB_ID}/{GID}/2b1a0f9e-8d7c-5b6a-9584-736251403f2e/tide.png",
    mime_type="image/png",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    cid=str(cid_of(CONTENT)),
)
_TOKEN = canonical(TOKEN_METADATA | {"image": f"ipfs://{_ARTWORK.cid}"}).decode()
_CONTENTS = Contents(
    collection_id=UUID(COLLECTION_ID),
    job_id=UUID(JOB_ID),
    title="First Light",
    artworks=[_ARTWORK],
    displays=[],
    documents=[
        PackagedDocument("metadata/base/1.json", _TOKEN, [f"metadata/base/{name}" for name in other_names("base", 1)]),
        PackagedDocument("metadata/base/collection.json", canonical(COLLECTION_METADATA).decode()),
    ],
)
_PLAN = plan(_CONTENTS)

REQUESTED = {
    "id": PACKAGE_ID,
    "collection_id": COLLECTION_ID,
    "job_id": JOB_ID,
    "status": "requested",
    "chains": ["BASE"],
    "revision": 1,
    "attempt": 1,
    "reason": None,
    "code": None,
    "progress": None,
    "root": None,
    "asset_id": None,
    "url": None,
    "size": None,
    "sha256": None,
    "provenance": None,
    "manifest": None,
}
CANCELLING = REQUESTED | {
    "status": "cancelling",
    "progress": {"phase": "writing", "files": 120, "of": 400, "bytes": 1_503_238_553, "size": 5_011_201_822},
}
STORED = REQUESTED | {
    "status": "stored",
    "root": str(_PLAN.root.cid),
    "asset_id": 90,
    "url": "https://emprops.example/assets/90/content",
    "size": 2710,
    "sha256": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
    "provenance": {"hash": _PLAN.provenance, "algorithm": PROVENANCE},
    "manifest": manifest(_CONTENTS),
}
PIN_REPORT = {
    "cid": STORED["root"],
    "service": "https://pins.example/psa",
    "request_id": "UniqueIdOfPinRequest",
    "status": "pinned",
}
PIN = {"service": PIN_REPORT["service"], "status": "pinned", "reported_at": "2026-11-27T12:00:00Z"}
_PUBLIC_MEMBERS = ("root", "provenance", "job_id", "chains", "revision", "size")
PUBLISHED = PUBLIC | {
    "packages": [{name: STORED[name] for name in _PUBLIC_MEMBERS} | {"pins": [PIN]}],
}
