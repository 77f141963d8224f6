"""The plan of a set: addresses, credentials and settings match each other."""

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
import pytest

from infra.cli.up import checked_comfy_urls, checked_public_url
from infra.embedded.plan import SERVICES, Plan, make_plan
from infra.embedded.ports import PortPicker
from infra.embedded.process import ProcessSpec
from infra.embedded.set_file import Secrets
from services.collections.settings import CollectionsSettings
from services.credits.settings import CreditsSettings
from services.edge.settings import EdgeSettings
from services.generation.settings import GenerationSettings
from services.storage.settings import StorageSettings
from shared.runtime.settings import ServiceSettings, from_environment
from workers.comfy.settings import ComfySettings
from workers.kit import WorkerSettings
from workers.studio.settings import StudioSettings

SETTINGS: dict[str, type[msgspec.Struct]] = {
    "collections": CollectionsSettings,
    "generation": GenerationSettings,
    "credits": CreditsSettings,
    "storage": StorageSettings,
    "edge": EdgeSettings,
    "worker": StudioSettings,
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planned(tmp_path)


def planned(data: Path, port: int = 8080) -> Plan:
    passwords = Secrets(data)
    plan = make_plan(data, PortPicker(), passwords, public_port=port, replicas=2)
    passwords.save()
    return plan


def processes(plan: Plan, name: str = "") -> list[ProcessSpec]:
    return [spec for stage in plan.stages for spec in stage.processes if spec.name.startswith(name)]


@pytest.mark.parametrize("name", SETTINGS)
def test_each_process_has_all_required_settings_and_no_unknown_ones(plan: Plan, name: str) -> None:
    """Each variable is a field of its settings, or one that all services get."""
    replicas = processes(plan, f"{name}-")
    assert len(replicas) == 2
    structs = (SETTINGS[name], ServiceSettings)
    fields = {field.name.upper() for struct in structs for field in msgspec.structs.fields(struct)}
    for spec in replicas:
        from_environment(SETTINGS[name], spec.environment)
        assert set(spec.environment) - {"PYTHONUNBUFFERED"} <= fields
        assert spec.environment["SERVICE_INSTANCE"] == spec.name


def test_no_two_processes_share_an_address(plan: Plan) -> None:
    """The first edge has the requested port, all others a free one."""
    ports = Counter(urlsplit(spec.url).port for stage in plan.stages for spec in stage.processes if spec.url)
    assert max(ports.values()) == 1
    assert plan.file.url == "http://127.0.0.1:8080"
    assert Counter(plan.file.ports.values()).most_common(1)[0][1] == 1


def test_each_service_has_credentials_of_its_own(plan: Plan) -> None:
    """Its own role on its own database, its own NATS user."""
    for name in SERVICES:
        info = plan.file.services[name]
        database, broker = urlsplit(info.database_url), urlsplit(info.nats_url)
        assert (database.username, database.path, broker.username) == (name, f"/{name}", name)
    passwords = [urlsplit(url).password for s in plan.file.services.values() for url in (s.database_url, s.nats_url)]
    assert len(set(passwords)) == 2 * len(SERVICES)


def test_the_edge_has_the_urls_of_all_replicas(plan: Plan) -> None:
    """Workers get the edge's URL for uploads, since the edge fails over between replicas."""
    edge, *_ = processes(plan, "edge-")
    assert edge.environment["STORAGE_URL"] == ",".join(plan.file.services["storage"].urls)
    upload_urls = [spec.environment["STORAGE_URL"] for spec in processes(plan, "generation-")]
    # The URL is sent with work, which may wait over a restart with fewer replicas.
    assert set(upload_urls) == {plan.file.url}


def test_credentials_and_keys_are_made_once(tmp_path: Path) -> None:
    """A second start reuses them, with any port."""
    first, second = planned(tmp_path), planned(tmp_path, port=9090)
    assert second.file.development_user == first.file.development_user
    assert second.file.s3.secret_key == first.file.s3.secret_key
    for name in SERVICES:
        first_url, second_url = (urlsplit(plan.file.services[name].database_url) for plan in (first, second))
        assert second_url.password == first_url.password
    assert Path(second.file.issuer_key_file).read_bytes() == Path(first.file.issuer_key_file).read_bytes()


def test_no_password_is_on_a_command_line(plan: Plan) -> None:
    """Every user of the machine can read command lines."""
    secrets = Path(plan.file.issuer_key_file).parents[1] / "secrets.json"
    words = [
        word for word in msgspec.json.decode(secrets.read_bytes(), type=dict[str, str]).values() if len(word) == 40
    ]
    for stage in plan.stages:
        for spec in stage.processes:
            assert not [word for word in words if word in " ".join(spec.command)], spec.name


def test_a_worker_that_somebody_else_starts_gets_a_user_and_its_settings(tmp_path: Path) -> None:
    passwords = Secrets(tmp_path)
    make_plan(tmp_path, PortPicker(), passwords, public_port=8080, replicas=1, workers={"text": ("direct_job.text",)})
    settings = tmp_path / "workers" / "text.env"
    assert settings.stat().st_mode & 0o777 == 0o600
    environment = dict(line.split("=", 1) for line in settings.read_text().splitlines())
    read = from_environment(WorkerSettings, environment)
    assert urlsplit(read.nats_url).username == "text"
    assert urlsplit(read.nats_url).password == passwords.get("nats/text")


def test_a_set_with_comfyui_servers_runs_one_worker_for_them(tmp_path: Path) -> None:
    """One, whatever the replicas: it alone counts its runs on each server."""
    passwords = Secrets(tmp_path)
    urls = "http://127.0.0.1:8188,http://gpu:8188#2"
    plan = make_plan(tmp_path, PortPicker(), passwords, public_port=8080, replicas=2, comfy_urls=urls)
    (spec,) = processes(plan, "comfy")
    assert spec.command[-1] == "workers.comfy"
    read = from_environment(ComfySettings, spec.environment)
    assert read.comfy_urls == urls
    assert urlsplit(read.nats_url).username == "comfy"
    assert urlsplit(read.nats_url).password == passwords.get("nats/comfy")


def test_a_public_url_is_that_of_all_services_and_workers(tmp_path: Path) -> None:
    """The set's own processes and commands reach the edge on this machine as before."""
    plan = make_plan(
        tmp_path, PortPicker(), Secrets(tmp_path), public_port=8080, replicas=1, public_url="https://nft.example"
    )
    for name in ("collections", "storage", "worker"):
        (spec,) = processes(plan, name)
        assert spec.environment["PUBLIC_URL"] == "https://nft.example", name
    assert plan.file.url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ""), (" https://nft.example/ ", "https://nft.example"), ("http://10.0.0.7:8080/a", "http://10.0.0.7:8080/a")],
)
def test_public_urls(value: str, expected: str) -> None:
    assert checked_public_url(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "nft.example",
        "ftp://nft.example",
        "https://",
        "https://me@nft.example",
        "http://x:y",
        "http://a b",
        "http://x?y",
    ],
)
def test_wrong_public_urls_are_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match=r"https://nft\.example"):
        checked_public_url(value)


def test_a_set_without_comfyui_has_no_worker_for_it(plan: Plan) -> None:
    assert processes(plan, "comfy") == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ftp://gpu:8188", "http and https addresses"),
        ("http://gpu:8188#0", "1 to 64"),
        ("http://gpu:8188,http://gpu:8188", "the same server twice"),
        (",", "at least one address"),
    ],
)
def test_wrong_comfyui_servers_are_refused_with_what_is_right(value: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        checked_comfy_urls(value)
