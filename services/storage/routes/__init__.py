"""HTTP → command or query → response."""

from services.storage.routes.assets import list_assets, read_asset
from services.storage.routes.content import read_content
from services.storage.routes.fetches import fetch_asset
from services.storage.routes.ipfs import read_content_by_cid, read_content_by_path
from services.storage.routes.tokens import read_token_animation, read_token_image, read_token_thumbnail
from services.storage.routes.uploads import store_asset, upload

ROUTES = [
    upload,
    store_asset,
    fetch_asset,
    list_assets,
    read_asset,
    read_content,
    read_token_image,
    read_token_animation,
    read_token_thumbnail,
    read_content_by_cid,
    read_content_by_path,
]
