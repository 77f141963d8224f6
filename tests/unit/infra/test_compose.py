"""docker-compose.yml, checked without Docker: valid by the Compose Specification, and consistent with the services."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from infra.docker.prepare import environments, write_files
from infra.embedded.nats_users import HTTP_API_USER
from infra.embedded.plan import make_plan
from infra.embedded.ports import PortPicker
from infra.embedded.set_file import Secrets
from shared.runtime import from_environment

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
SETTINGS = {
    "collections": "services.collections.settings:CollectionsSettings",
    "generation": "services.generation.settings:GenerationSettings",
    "credits": "services.credits.settings:CreditsSettings",
    "storage": "services.storage.settings:StorageSettings",
    "edge": "services.edge.settings:EdgeSettings",
    "worker": "workers.studio.settings:StudioSettings",
    "comfy": "workers.comfy.settings:ComfySettings",
    "http-api": "workers.http_api.settings:HttpApiSettings",
}
WORKERS = ("worker", "comfy", "http-api")
COMFY_URL = "http://127.0.0.1:8188"
ONLY_UP = {
    "GRANT_RETIRED_JWKS_FILE": "of a rotated key",
    "HTTP_WORKER_WANTED_FILE": "the http worker runs from the start",
    "SERVICE_INSTANCE": "a container has a name of its own",
    "API_URLS": "the edge's public URL is reached from containers by its own name only",
}
"""Settings of `emprops up` that containers need not have, and why."""


def vars_of(settings: object) -> dict[str, object]:
    return msgspec.structs.asdict(settings)


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    """The schema is the specification's own, as check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_runs_every_service_of_the_set_and_a_worker(services: dict[str, dict]) -> None:
    for name in SETTINGS:
        folder, module, *verb = services[name]["command"]
        assert folder == name
        assert verb == ([] if name in WORKERS else ["serve"])
        assert importlib.util.find_spec(f"{module}.__main__"), f"{module} can't be run"


@pytest.mark.parametrize("name", SETTINGS)
def test_the_prepared_environment_is_what_a_service_reads(name: str, services: dict[str, dict], tmp_path: Path) -> None:
    module, _, settings = SETTINGS[name].partition(":")
    environment = environments(tmp_path, Secrets(tmp_path), "https://emprops.example")[name]
    environment |= services[name].get("environment", {})  # with the names of variables in place of their values
    read = from_environment(getattr(importlib.import_module(module), settings), environment)
    values = {field: value for field, value in vars_of(read).items() if field.upper() in environment}
    assert values, "nothing of what is prepared for it is read"
    assert all(str(value) == environment[field.upper()] for field, value in values.items())


def test_containers_get_the_settings_that_up_sets(services: dict[str, dict], tmp_path: Path) -> None:
    """What `emprops up` sets for a process, and its container lacks, would be noticed when it is used."""
    prepared = environments(tmp_path / "compose", Secrets(tmp_path / "compose"), "https://emprops.example")
    up = tmp_path / "up"
    processes = {
        spec.name.rpartition("-")[0]: spec.environment
        for stage in make_plan(up, PortPicker(), Secrets(up), public_port=8080, replicas=1, comfy_urls=COMFY_URL).stages
        for spec in stage.processes
        if spec.name.rpartition("-")[0] in SETTINGS
    }
    assert processes.keys() == SETTINGS.keys()
    for name, environment in processes.items():
        module, _, settings = SETTINGS[name].partition(":")
        fields = {field.upper() for field in getattr(importlib.import_module(module), settings).__struct_fields__}
        fields -= {"HTTP_HOST", "HTTP_PORT"} if name in WORKERS else set()  # their probes have defaults
        own = prepared[name].keys() | services[name].get("environment", {}).keys()
        lacking = (environment.keys() & fields) - own - ONLY_UP.keys()
        assert not lacking, f"{name} lacks {sorted(lacking)}"


def test_the_http_worker_may_ask_for_secrets_and_generation_has_their_key(tmp_path: Path) -> None:
    write_files(tmp_path, "http://127.0.0.1:8080")
    key = f"EMPROPS_SECRETS_KEY={(tmp_path / 'secrets.key').read_text()}"
    assert key in (tmp_path / "generation.env").read_text().splitlines()
    user = (tmp_path / "http-api.env").read_text().partition("nats://")[2].partition(":")[0]
    assert user == HTTP_API_USER
    assert '"secrets.*"' in (tmp_path / "nats.conf").read_text()


def test_hosts_in_the_environments_are_services_of_the_file(services: dict[str, dict], tmp_path: Path) -> None:
    for settings in environments(tmp_path, Secrets(tmp_path), "https://emprops.example").values():
        for key, value in settings.items():
            if "://" in value and key != "PUBLIC_URL":
                host = value.split("://")[1].rpartition("@")[2].split(":")[0].split("/")[0]
                assert host in services, f"{key} names {host}, which the file does not run"


def test_only_the_edge_is_published_and_only_on_loopback(services: dict[str, dict]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(published) == ["edge"]
    assert all(port.startswith("127.0.0.1:") for port in published["edge"])


def test_what_a_service_waits_for_exists(services: dict[str, dict]) -> None:
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name


def test_preparing_twice_changes_no_password(tmp_path: Path) -> None:
    write_files(tmp_path, "http://127.0.0.1:8080")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_files(tmp_path, "http://127.0.0.1:8080")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
