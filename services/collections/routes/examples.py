"""Examples of requests and responses in the OpenAPI document: one collection through its life.

`tests/integration/collections/test_documentation.py` checks them against the types of bodies and responses.
"""

from typing import Any

from services.collections.domain.collection.variable_table import table_of
from services.collections.views.public import PublicCollection

PROJECT_ID = "9d3c1f1e-5a0b-5c58-8a55-3a4a1f6de001"
COLLECTION_ID = "3f1c2d4e-7b8a-5e6f-9a0b-1c2d3e4f5a6b"
USER_ID = "6a8e2f4c-1b3d-4e5f-8a9b-0c1d2e3f4a5b"
JOB_ID = "0b1c2d3e-4f5a-5b6c-8d7e-9f0a1b2c3d4e"
GID = "7c6b5a49-3827-5160-9f8e-7d6c5b4a3928"
CREATOR = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
COVER = "https://images.example/first-light.png"
BANNER = "https://images.example/first-light-banner.png"
ARTWORK = "https://cdn.example/generations/71.png"
PAGE_URL = f"https://emprops.example/c/{COLLECTION_ID}"

PROJECT = {
    "id": PROJECT_ID,
    "name": "Tides",
    "user_id": USER_ID,
    "is_default": True,
    "version": "v2",
    "created_at": "2026-11-22T12:00:00Z",
}
VARIABLE = {
    "name": "style",
    "type": "pick",
    "value_type": "strings",
    "lock_value": False,
    "test_value": "noir",
    "value": {"display_names": ["Noir", "Pop art"], "values": ["noir", "pop art"], "weights": [3, 1]},
}
VARIABLES: list[dict[str, Any]] = [
    VARIABLE,
    {"name": "place", "type": "text", "value": "the sea"},
    {"name": "stars", "type": "number", "value": 4},
    {"name": "blur", "type": "number", "value": {"min": 0, "max": 1, "step": 0.1}},
    {"name": "moons", "type": "number", "value": {"values": [0, 1, 2], "weights": [3, 2, 1]}},
]
"""One of every kind."""
INSTRUCTIONS = {
    "version": "v2",
    "steps": [
        {"id": 1, "nodeName": "sketch", "alias": "Main", "nodePayload": {"prompt": "a tide, {{style}}", "seed": -1}},
        {"id": 2, "nodeName": "frame", "nodePayload": {"image": {"$ref": 1}, "title": "{{style}}"}},
    ],
    "generations": {"generations": 4, "hashes": [], "use_custom_hashes": False},
    "variables": VARIABLES,
}
ADOPTED = INSTRUCTIONS | {
    "steps": [
        {
            "id": 10000000001,
            "fromId": 1,
            "nodeName": "sketch",
            "alias": "Main",
            "nodePayload": {"prompt": "a tide, {{style}}", "seed": -1},
        },
        {
            "id": 10000000002,
            "fromId": 2,
            "nodeName": "frame",
            "nodePayload": {"image": {"$ref": 10000000001}, "title": "{{style}}"},
        },
    ]
}
FIELDS = {
    "title": "First Light",
    "description": "A tide, drawn at dawn",
    "blockchain": "BASE",
    "editions": 100,
    "price": "0.05",
    "batch_mint_enabled": True,
    "batch_max_tokens": 5,
    "encryption_enabled": False,
    "cover_image_url": COVER,
    "images": [{"url": COVER, "alt": "A tide"}],
    "symbol": "TIDE",
    "tags": ["sea", "generative"],
    "rights": "Printing for personal use is welcome",
    "license": "CC-BY-NC-4.0",
    "license_url": "https://creativecommons.org/licenses/by-nc/4.0/",
    "minter": None,
    "banner_image_url": BANNER,
    "cover_token": None,
}
CREATORS_SHARE = {"address": CREATOR, "type": "creator", "name": "Ada", "role": "creator"}
RECEIVERS = [
    CREATORS_SHARE | {"value": "90", "purpose": "sale"},
    CREATORS_SHARE | {"value": "5", "purpose": "royalty"},
]
SUMMARY = FIELDS | {
    "id": COLLECTION_ID,
    "project_id": PROJECT_ID,
    "user_id": USER_ID,
    "status": "draft",
    "archived": False,
    "is_current": False,
    "scheduled_for": None,
    "publish_date": None,
    "revision": None,
    "receivers": RECEIVERS,
    "royalty_receiver": None,
    "preview": {"enabled": False, "max_generations": 3, "is_remixable": False, "paid_by": "visitor"},
    "forked_from": None,
    "is_custodial": False,
    "social_org": None,
    "social_identifier": None,
    "created_at": "2026-11-22T12:00:00Z",
    "updated_at": "2026-11-22T12:05:00Z",
    "version": 3,
}
DRAFT = SUMMARY | {"data": ADOPTED}
PUBLISHED_SUMMARY = SUMMARY | {
    "status": "published",
    "publish_date": "2026-11-23T12:00:00Z",
    "revision": 1,
    "version": 4,
}
PUBLIC = {name: PUBLISHED_SUMMARY.get(name) for name in PublicCollection.__struct_fields__}
PUBLISHED = PUBLISHED_SUMMARY | {"data": ADOPTED}
REVISIONS = [
    {"revision": 2, "at": "2026-11-24T09:30:00Z", "changes": ["description", "price"]},
    {"revision": 1, "at": "2026-11-23T12:00:00Z", "changes": []},
]
TOKEN = {"token": 1, "gid": GID, "hash": "dawn", "image": ARTWORK, "file": ARTWORK, "mime_type": "image/png"}
SERIES = {"job_id": JOB_ID, "generations": [GID]}
TOKENS = {"data": [TOKEN], "count": 1, "job_id": JOB_ID, "next_cursor": None, "error": None}
PUBLICATION = PUBLISHED | {
    "editions": 1,
    "series": {"job_id": JOB_ID, "tokens": 1, "pictures": [TOKEN], "more": None},
    "warnings": [],
}
OPEN_PREVIEW = {"enabled": True, "max_generations": 5, "is_remixable": True, "paid_by": "owner"}
OPENED = DRAFT | {"preview": OPEN_PREVIEW, "version": 4}
FORK = DRAFT | {
    "title": "Fork of First Light",
    "forked_from": "1e2d3c4b-5a69-5788-9697-a5b4c3d2e1f0",
    "is_custodial": True,
    "social_org": "farcaster",
    "social_identifier": "tidewalker",
    "receivers": [],
}
TEMPLATE = {
    "template_collection_id": FORK["forked_from"],
    "social_org": "farcaster",
    "social_identifier": "tidewalker",
    "overrides": {"title": "Your tide", "data.steps[0].nodePayload.prompt": "a tide in {{style}}, for tidewalker"},
    "collection_preview": {"enabled": True, "max_generations": 1},
}
FROM_TEMPLATE = FORK | {"title": "Your tide", "preview": OPEN_PREVIEW | {"max_generations": 1, "is_remixable": False}}
VARIABLES_CSV = table_of(VARIABLES)
HISTORY = {
    "version": 3,
    "actor": f"user:{USER_ID}",
    "at": "2026-11-22T12:05:00Z",
    "type": "collection_priced.v1",
    "text": "set the price to 0.05",
    "changes": {"price": "0.05"},
}
FEED_ITEM = {
    "id": COLLECTION_ID,
    "title": "First Light",
    "description": "A tide, drawn at dawn",
    "preview_enabled": True,
    "is_remixable": True,
    "max_generations": 5,
    "paid_by": "owner",
    "cover_image_url": COVER,
    "sample_images": [{"url": COVER, "alt": "A tide"}],
    "project": {"name": "Tides", "user_id": USER_ID},
    "variables": [{"name": "style", "type": "pick", "description": None, "options": ["Noir", "Pop art"]}],
    "created_at": "2026-11-22T12:00:00Z",
    "updated_at": "2026-11-22T12:05:00Z",
}
COMPONENT_ASSET = {
    "id": 71,
    "name": "tide.png",
    "path": f"generations/{USER_ID}/{JOB_ID}/{GID}/2b1a0f9e-8d7c-5b6a-9584-736251403f2e/tide.png",
    "mime_type": "image/png",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "cid": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    "component_id": 10000000001,
    "job_id": JOB_ID,
    "gid": GID,
    "gen_in_data": ADOPTED,
    "gen_out_data": {"gid": GID, "job_id": JOB_ID, "status": "completed", "steps": []},
    "created_at": "2026-11-22T12:10:00Z",
}
COLLECTION_METADATA = {
    "name": "First Light",
    "symbol": "TIDE",
    "description": "A tide, drawn at dawn",
    "image": COVER,
    "banner_image": BANNER,
    "external_link": PAGE_URL,
    "royalties": [{"receiver": CREATOR, "basis_points": 500}],
}
TOKEN_METADATA = {
    "name": "First Light #1",
    "description": "A tide, drawn at dawn",
    "image": ARTWORK,
    "external_url": f"{PAGE_URL}/1",
    "attributes": [{"trait_type": "style", "value": "Noir"}],
}


def page(*items: Any) -> dict[str, Any]:
    return {"data": list(items), "next_cursor": None, "error": None}


def data(item: Any) -> dict[str, Any]:
    return {"data": item, "error": None}
