"""`emprops verify-package`: what it says, and how it exits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from infra.cli.main import main
from shared.content.files import cid_of
from tests.support.json_server import JsonServer
from tests.unit.content.contents import content
from tests.unit.content.package_file import car_file, contents, repackaged, with_document

PACKAGE = car_file([content(40, 1), content(5000, 2)])


class Platform(JsonServer):
    """A server with one answer."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any] = (404, {})
        self.paths: list[str] = []
        super().__init__()
        self.url = self.origin

    def get(self, path: str, _authorization: str | None) -> tuple[int, Any]:
        self.paths.append(path)
        return self.answer


def run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["verify-package", str(file), *options])


def written(folder: Path, data: bytes) -> Path:
    file = folder / "package.car"
    file.write_bytes(data)
    return file


def test_an_intact_package_is_reported_as_text_and_as_json(tmp_path: Path):
    file = written(tmp_path, PACKAGE)
    words, as_json = run(file), run(file, "--json")
    assert (words.exit_code, as_json.exit_code) == (0, 0)
    report = json.loads(as_json.stdout)
    assert report["ok"]
    assert report["root"] in words.stdout
    assert report["provenance"] in words.stdout
    assert (report["artworks"], report["size"]) == (2, len(PACKAGE))


def test_the_first_difference_is_named(tmp_path: Path):
    at = PACKAGE.index(content(5000, 2)) + 100
    file = written(tmp_path, PACKAGE[:at] + bytes([PACKAGE[at] ^ 1]) + PACKAGE[at + 1 :])
    words, as_json = run(file), run(file, "--json")
    assert (words.exit_code, as_json.exit_code) == (1, 1)
    difference = json.loads(as_json.stdout)["difference"]
    assert difference["path"] == "artworks/2.bin"
    assert difference["offset"] < at < difference["offset"] + 5000
    assert f"artworks/2.bin, at byte {difference['offset']}" in words.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"GIF89a" + bytes(80), "CAR file"), (PACKAGE[:-1], "cut off"), (PACKAGE + b"x", "follow")],
    ids=["empty", "another format", "cut off", "too long"],
)
def test_a_file_that_is_no_package_is_refused_with_a_sentence(tmp_path: Path, data: bytes, words: str):
    result = run(written(tmp_path, data))
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_file_that_can_not_be_read_is_refused_with_a_sentence(tmp_path: Path):
    for path, words in ((tmp_path / "none.car", "No such file"), (tmp_path, "is not a file")):
        result = run(path)
        assert result.exit_code == 1
        assert words in result.stderr
        assert "Traceback" not in result.output


def test_another_root_than_the_expected_one_is_refused(tmp_path: Path):
    file = written(tmp_path, PACKAGE)
    root = json.loads(run(file, "--json").stdout)["root"]
    assert run(file, "--root", f"ipfs://{root}").exit_code == 0
    other = run(file, "--root", str(cid_of(b"other")))
    assert (other.exit_code, f"the package's root is {root}" in other.stderr) == (1, True)
    nonsense = run(file, "--root", "Qm")
    assert (nonsense.exit_code, "is not the CID" in nonsense.stderr) == (2, True)


def test_the_member_of_the_file_that_is_wrong_is_named(tmp_path: Path):
    package = contents([content(40, 1)])
    path = "metadata/base/1.json"
    file = written(tmp_path, repackaged(with_document(package, path, {"name": 7}), {"artworks/1.bin": content(40, 1)}))
    words, as_json = run(file), run(file, "--json")
    assert json.loads(as_json.stdout)["difference"]["pointer"] == "/name"
    assert f"{path} /name, at byte" in words.stderr


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as server:
        yield server


def test_a_package_that_the_platform_publishes_is_verified(tmp_path: Path, platform: Platform):
    file = written(tmp_path, PACKAGE)
    report = json.loads(run(file, "--json").stdout)
    listed = [
        {"root": "bafy-newer", "provenance": {"hash": "0" * 64}, "job_id": report["job_id"]},
        {"root": report["root"], "provenance": {"hash": report["provenance"]}, "job_id": report["job_id"]},
    ]
    for path in ("/collections/3", "/collections/3/", "/collections/3/public", "/c/3", "/c/3/", "/c/3/12"):
        platform.answer = (200, {"data": {"id": report["collection_id"], "packages": listed}})
        assert run(file, "--collection", platform.url + path).exit_code == 0
        assert platform.paths[-1] == "/collections/3/public"


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"packages": []}, "", "it lists none"),
        ({"id": str(UUID(int=9))}, "/collection/id", "is of collection"),
        ({"hash": "0" * 64}, "/provenance/hash", "says 0000"),
        ({"job_id": str(UUID(int=9))}, "/job_id", "but in the package it is"),
    ],
)
def test_a_package_that_the_platform_does_not_publish_is_refused(
    tmp_path: Path, platform: Platform, change: dict[str, Any], pointer: str, words: str
):
    file = written(tmp_path, PACKAGE)
    report = json.loads(run(file, "--json").stdout)
    package = {
        "root": report["root"],
        "provenance": {"hash": change.get("hash", report["provenance"])},
        "job_id": change.get("job_id", report["job_id"]),
    }
    collection = {"id": change.get("id", report["collection_id"]), "packages": change.get("packages", [package])}
    platform.answer = (200, {"data": collection})
    result = run(file, "--json", "--collection", f"{platform.url}/collections/3")
    difference = json.loads(result.stdout)["difference"]
    assert (result.exit_code, difference["pointer"]) == (1, pointer)
    assert words in difference["message"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(404, {}, "is not published"), (503, {}, "status 503"), (200, {"data": {}}, "does not list the packages")],
)
def test_a_collection_that_can_not_be_read_is_told_in_a_sentence(
    tmp_path: Path, platform: Platform, status: int, body: Any, words: str
):
    platform.answer = (status, body)
    result = run(written(tmp_path, PACKAGE), "--collection", f"{platform.url}/collections/3")
    assert (result.exit_code, words in result.stderr) == (1, True), result.stderr
    for url in ("nowhere", "http://127.0.0.1:1/collections/3"):
        result = run(written(tmp_path, PACKAGE), "--collection", url)
        assert (result.exit_code, "does not answer" in result.stderr) == (1, True), result.stderr
