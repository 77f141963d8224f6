"""The link under which a client finds a file: at the CDN where there is one, else here, through the edge."""

from datetime import UTC, datetime
from uuid import UUID

from services.storage.projections.assets import row_of
from services.storage.views import Links
from shared.contracts.storage import AssetStored

USER = UUID(int=1)
ROW = row_of(
    AssetStored(
        asset_id=7,
        user_id=USER,
        name="图 #1.png",
        path=f"uploads/{USER}/{USER}/图 #1.png",
        mime_type="image/png",
        size=3,
        sha256="ab" * 32,
    ),
    datetime(2026, 11, 22, tzinfo=UTC),
)


def test_a_file_is_read_through_the_edge():
    assert Links("https://api.example/", "").view(ROW).url == "https://api.example/assets/7/content"


def test_a_file_is_read_at_the_cdn_by_its_escaped_path():
    link = Links("https://api.example", "https://cdn.example/files/").view(ROW).url
    assert link == f"https://cdn.example/files/uploads/{USER}/{USER}/%E5%9B%BE%20%231.png"
