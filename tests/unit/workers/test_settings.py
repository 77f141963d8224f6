"""A worker's settings come from the environment, and wrong ones are refused before anything starts."""

import pytest

from shared.runtime import SettingsError, from_environment
from workers.studio.settings import WorkerSettings

LEAST = {"NATS_URL": "nats://127.0.0.1:4222"}


def test_an_address_of_nats_is_enough() -> None:
    settings = from_environment(WorkerSettings, LEAST)
    assert settings.services == ["sketch", "frame", "caption"]
    assert (settings.worker_concurrency, settings.worker_ack_wait) == (2, 10.0)


def test_services_are_a_list_without_doubles() -> None:
    settings = from_environment(WorkerSettings, LEAST | {"WORKER_SERVICES": " caption, frame ,caption"})
    assert settings.services == ["caption", "frame"]


@pytest.mark.parametrize("services", ["", " , ", "sketch,paint", "SKETCH"])
def test_a_service_without_a_renderer_is_refused(services: str) -> None:
    settings = from_environment(WorkerSettings, LEAST | {"WORKER_SERVICES": services})
    with pytest.raises(ValueError, match="WORKER_SERVICES may name sketch, frame, caption, not "):
        _ = settings.services


@pytest.mark.parametrize(
    "wrong",
    [
        {"WORKER_CONCURRENCY": "0"},
        {"WORKER_CONCURRENCY": "many"},
        {"WORKER_ACK_WAIT": "0"},
        {"WORKER_GRACE": "-1"},
        {"HTTP_PORT": "70000"},
        {"INPUT_MAX_BYTES": "0"},
    ],
)
def test_values_out_of_bounds_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        from_environment(WorkerSettings, LEAST | wrong)
