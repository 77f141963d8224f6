"""`emprops pin`: a package is handed to a pinning service, followed to its end, and the outcome recorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli import pin as pin_command
from infra.cli.main import main
from infra.cli.pin import origins
from shared.content.package import plan
from tests.support.json_server import JsonServer
from tests.support.pinning_service import TOKEN, PinningServer
from tests.unit.content.contents import content
from tests.unit.content.package_file import COLLECTION, car_file, contents

FILES = [content(40, 1), content(5000, 2)]
PACKAGE = car_file(FILES)
ROOT = str(plan(contents(FILES)).root.cid)


class Platform(JsonServer):
    """The edge: a collection's public page, and what was reported to it, which is answered with `recording`."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str | None, dict[str, Any]]] = []
        self.recording: tuple[int, Any] = (200, {"data": {}})
        super().__init__()
        self.url = f"{self.origin}/collections/{COLLECTION}"

    def get(self, path: str, _authorization: str | None) -> tuple[int, Any]:
        assert path == f"/collections/{COLLECTION}/public"
        listed = {"root": ROOT, "provenance": {"hash": "x"}, "job_id": "y"}
        return 200, {"data": {"id": str(COLLECTION), "packages": [listed]}}

    def post(self, path: str, authorization: str | None, body: Any) -> tuple[int, Any]:
        self.reports.append((path, authorization, body))
        return self.recording


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "package.car"
    path.write_bytes(PACKAGE)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin_command, "LOOK_EVERY", 0.01)


def run(service: PinningServer, *words: str, token: str = TOKEN) -> Result:
    environment = {"PINNING_SERVICE": service.url, "PINNING_TOKEN": token}
    result = CliRunner().invoke(main, ["pin", *words], env=environment)
    assert TOKEN not in result.output, "the token is never printed"
    return result


def test_a_file_is_pinned_by_its_root(file: Path):
    with PinningServer() as service:
        result = run(service, str(file))
    assert (result.exit_code, f"pinned {ROOT}" in result.stdout) == (0, True), result.output
    assert [(pin["cid"], pin["origins"], pin["meta"]) for pin in service.pins] == [(ROOT, [], {})]
    assert "queued" in result.stderr
    assert "not recorded" in result.stderr


def test_an_open_request_is_found_again(file: Path):
    """As after Ctrl-C; one that has failed is made anew."""
    with PinningServer("pinning", "pinned") as service:
        service.add({"cid": ROOT})
        result = run(service, str(file), "--json")
        assert (len(service.pins), json.loads(result.stdout)["status"]) == (1, "pinned")
    with PinningServer("failed") as service:
        service.add({"cid": ROOT})
        assert run(service, str(file)).exit_code == 1
        assert len(service.pins) == 2


def test_the_newest_package_of_a_collection_is_pinned_and_the_outcome_recorded(platform: Platform):
    with PinningServer() as service:
        result = run(service, "--collection", platform.url, "--token", "owner", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "cid": ROOT,
        "request_id": "request-1",
        "status": "pinned",
        "reason": None,
        "recorded": True,
    }
    [(path, authorization, body)] = platform.reports
    assert (path, authorization) == (f"/collections/{COLLECTION}/pins", "Bearer owner")
    assert body == {
        "cid": ROOT,
        "service": service.url,
        "request_id": "request-1",
        "status": "pinned",
        "reason": None,
    }
    assert service.pins[0]["meta"] == {"collection": str(COLLECTION)}


@pytest.mark.parametrize("page", ["/c/{}", "/c/{}/7", "/collections/{}/public"])
def test_a_page_names_the_collection_too(platform: Platform, page: str):
    address = platform.origin + page.format(COLLECTION)
    with PinningServer() as service:
        result = run(service, "--collection", address, "--token", "owner", "--json")
    assert json.loads(result.stdout)["recorded"], result.output
    assert [path for path, _, _ in platform.reports] == [f"/collections/{COLLECTION}/pins"]


def test_what_is_pinned_and_can_not_be_recorded_is_told(platform: Platform):
    platform.recording = (403, {"detail": "You may not", "code": "FORBIDDEN"})
    with PinningServer() as service:
        result = run(service, "--collection", platform.url, "--token", "another", "--json")
    assert (result.exit_code, "You may not" in result.stderr) == (1, True)
    document = json.loads(result.stdout)
    assert (document["status"], document["recorded"]) == ("pinned", False)


def test_a_failure_is_told_recorded_and_exits_with_1(platform: Platform):
    with PinningServer("queued", "failed", details="nobody has the data") as service:
        result = run(service, "--collection", platform.url, "--token", "owner")
    assert (result.exit_code, "nobody has the data" in result.stderr) == (1, True)
    [(_, _, body)] = platform.reports
    assert (body["status"], body["reason"]) == ("failed", "nobody has the data")


def test_ctrl_c_leaves_the_request(file: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(line: str) -> None:
        raise KeyboardInterrupt(line)

    monkeypatch.setattr(pin_command, "_display", lambda **_: interrupted)
    with PinningServer() as service:
        result = run(service, str(file))
    assert (result.exit_code, len(service.pins)) == (130, 1)
    assert "Run the same command" in result.stderr


def test_a_service_that_fails_for_a_while_is_asked_again(file: Path):
    class Failing(PinningServer):
        def add(self, pin: dict[str, Any]) -> dict[str, Any]:
            self.faults += [503, 429, 500]
            return super().add(pin)

    with Failing() as service:
        result = run(service, str(file))
    assert result.exit_code == 0, result.output
    assert "status 503; trying again" in result.stderr


def test_refusals_are_told(file: Path):
    with PinningServer() as service:
        assert "refuses the token: check PINNING_TOKEN" in run(service, str(file), token="wrong").stderr
        service.faults = [400]
        refused = run(service, str(file))
        assert (refused.exit_code, "FAULT of the service" in refused.stderr) == (1, True)
        service.faults = [301]
        assert "status 301" in run(service, str(file)).stderr


def test_wrong_use_is_told(file: Path, tmp_path: Path):
    with PinningServer() as service:
        assert "give FILE, --collection URL, or both" in run(service).stderr
        assert "set PINNING_TOKEN" in run(service, str(file), token="").stderr
        assert "in the clear" in run(service, str(file), "--to", "http://pins.example").stderr
        assert "no user name" in run(service, str(file), "--to", "https://me@pins.example").stderr
        damaged = tmp_path / "damaged.car"
        damaged.write_bytes(PACKAGE[:-1] + bytes([PACKAGE[-1] ^ 1]))
        refused = run(service, str(damaged))
        assert (refused.exit_code, "is not pinned" in refused.stderr) == (1, True)
    assert service.pins == []


def test_the_platform_is_an_origin_unless_only_this_machine_reaches_it():
    assert origins("https://nft.example/collections/x") == ["/dns/nft.example/tcp/443/https"]
    assert origins("http://203.0.113.7:8080/collections/x") == ["/ip4/203.0.113.7/tcp/8080/http"]
    assert origins("http://127.0.0.1:8080/collections/x") == []
    assert origins(None) == []
