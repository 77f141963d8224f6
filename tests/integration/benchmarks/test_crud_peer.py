"""The stand-in for the Express peer: said to be one, and doing the same rows."""

import psycopg
import pytest

from benchmarks.peers.express import crud_peer, install
from infra.demo.client import ApiError, Client
from tests.support.jobs import two_steps

USER = "0b6f0d3e-5d0e-4a44-8f9b-6d2f0c3f9a11"


def nowhere(_program: str) -> None:
    return None


def test_without_node_there_is_nothing_to_install_and_the_reason_is_told(tmp_path):
    assert install(tmp_path, nowhere) == (None, "Node or npm is not installed")


def test_what_npm_says_is_the_reason_when_it_fails(tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    npm.chmod(0o755)
    folder, why = install(tmp_path / "installed", lambda _program: str(npm))
    assert (folder, why) == (None, "npm could not install Express: no network")


async def test_the_stand_in_makes_the_rows_of_a_collection_in_one_transaction(database, tmp_path):
    with crud_peer(database, tmp_path, nowhere) as peer:
        assert "stand-in" in peer.name
        assert peer.note == "Node or npm is not installed"
        async with Client(peer.url, "") as client:
            first = await client.post("/projects/collections", {"title": "Tides", "data": two_steps()}, x_user=USER)
            second = await client.post("/projects/collections", {"title": "Ebb"}, x_user=USER)
            read = await client.get(f"/collections/{first['id']}")
            with pytest.raises(ApiError, match="404"):
                await client.get(f"/collections/{USER}")
    sketch, frame = first["data"]["steps"]
    assert (sketch["fromId"], frame["nodePayload"]["image"]) == (1, {"$ref": sketch["id"]})
    assert read == first
    assert second["project_id"] == first["project_id"]
    with psycopg.connect(database) as connection:
        counts = "select (select count(*) from components), (select count(*) from previews)"
        assert connection.execute(counts).fetchone() == (2, 2)
