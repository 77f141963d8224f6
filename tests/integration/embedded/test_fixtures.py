"""The servers' fixtures: each test gets its own database, streams and bucket, with every source."""

import io
from collections.abc import Callable

import nats
import psycopg
import pytest

from tests.support.servers import SOURCE, Bucket, Servers, delete_streams, start_servers


def test_databases_are_of_one_test_only(databases: Callable[..., str], database: str) -> None:
    """Each is fresh and migrated, or empty, and what is written to one is not in the other."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    with psycopg.connect(databases()) as connection:
        assert connection.execute("SELECT to_regclass('events')::text, to_regclass('mine')").fetchone() == (
            "events",
            None,
        )
    with psycopg.connect(databases("template1")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_a_template_is_filled_once(servers: Servers, databases: Callable[..., str]) -> None:
    """Databases made from it have what it was filled with."""
    filled: list[str] = []

    def fill(dsn: str) -> None:
        filled.append(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE migrated AS SELECT 7 AS n")

    for _ in range(2):
        with psycopg.connect(databases(servers.template("fixtures", fill))) as connection:
            assert connection.execute("SELECT n FROM migrated").fetchone() == (7,)
    assert len(filled) == 1


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_nats_server_has_no_streams_of_another_test(nats_url: str, attempt: int) -> None:
    """The second attempt doesn't find the first one's."""
    client = await nats.connect(nats_url)
    assert await client.jetstream().streams_info() == []
    await client.jetstream().add_stream(name=f"LEFT{attempt}", subjects=["left"])
    await client.close()


def test_a_bucket_is_empty(bucket: Bucket) -> None:
    """And takes objects."""
    client = bucket.client()
    assert list(client.list_objects(bucket.name)) == []
    client.put_object(bucket.name, "a", io.BytesIO(b"7"), 1)
    assert [item.object_name for item in client.list_objects(bucket.name)] == ["a"]


async def test_the_source_urls_uses_running_servers(servers: Servers) -> None:
    """With EMPROPS_TEST_SERVERS=urls nothing is started; a shared NATS server is emptied instead."""
    environment = {
        SOURCE: "urls",
        "DATABASE_URL": servers.postgres_dsn,
        "NATS_URL": servers.nats_url,
        "S3_ENDPOINT": servers.s3.endpoint,
        "S3_ACCESS_KEY": servers.s3.access_key,
        "S3_SECRET_KEY": servers.s3.secret_key,
    }
    running = start_servers(environment)
    dsn = running.create_database()
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT 1")
    running.drop_database(dsn)
    running.s3.client().list_buckets()
    client = await nats.connect(running.nats_url)
    await client.jetstream().add_stream(name="LEFT", subjects=["left"])
    await delete_streams(running.nats_url)
    assert await client.jetstream().streams_info() == []
    await client.close()
    assert not running.private_nats
    running.close()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({SOURCE: "docker"}, "it must be embedded, testcontainers or urls"),
        ({SOURCE: "urls"}, "urls needs DATABASE_URL"),
    ],
)
def test_a_wrong_source_says_what_is_missing(environment: dict[str, str], sentence: str) -> None:
    """The error comes at the start, not from a test."""
    with pytest.raises(ValueError, match=sentence):
        _ = start_servers(environment).postgres_dsn
