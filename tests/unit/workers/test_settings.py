"""A worker's settings come from the environment, and wrong ones are refused before anything starts."""

import pytest

from shared.runtime import SettingsError, from_environment
from workers.studio.renderers import RENDERERS
from workers.studio.settings import StudioSettings

LEAST = {"NATS_URL": "nats://127.0.0.1:4222"}
OFFERED = list(RENDERERS)


def test_an_address_of_nats_is_enough() -> None:
    settings = from_environment(StudioSettings, LEAST)
    assert settings.chosen(OFFERED) == ["sketch", "frame", "caption"]
    assert (settings.worker_concurrency, settings.worker_ack_wait) == (2, 10.0)


def test_services_are_a_list_without_doubles() -> None:
    settings = from_environment(StudioSettings, LEAST | {"WORKER_SERVICES": " caption, frame ,caption"})
    assert settings.chosen(OFFERED) == ["caption", "frame"]


@pytest.mark.parametrize("services", ["", " , ", "sketch,paint", "SKETCH"])
def test_a_service_without_a_handler_is_refused(services: str) -> None:
    settings = from_environment(StudioSettings, LEAST | {"WORKER_SERVICES": services})
    with pytest.raises(ValueError, match="WORKER_SERVICES may name sketch, frame, caption, not "):
        settings.chosen(OFFERED)


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
        from_environment(StudioSettings, LEAST | wrong)
