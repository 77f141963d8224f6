"""Which URLs only the machine itself can read."""

import pytest

from services.collections.domain.links import is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.9.10",
        "http://[::1]:8080/x",
        "https://localhost",
        "https://edge.localhost.",
    ],
)
def test_loopback_addresses(url: str):
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["https://nft.example", "http://10.0.0.7", "https://localhost.example", "", "http://["])
def test_other_addresses(url: str):
    assert not is_loopback(url)
