"""`emprops verify-package`: what it says, and how it exits."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infra.cli.main import main
from shared.content.files import cid_of
from tests.unit.content.contents import content
from tests.unit.content.package_file import car_file, contents, repackaged, with_document

PACKAGE = car_file([content(40, 1), content(5000, 2)])


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
