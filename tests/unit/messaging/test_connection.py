"""Parsing NATS_URL."""

import pytest

from shared.messaging.connection import Address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("nats://host:4222", Address(["nats://host:4222"])),
        ("host:4222", Address(["nats://host:4222"])),
        ("nats://user:secret@host:4222", Address(["nats://host:4222"], "user", "secret")),
        ("nats://us%40er:s%2Fcret@host", Address(["nats://host"], "us@er", "s/cret")),
        ("tls://u:p@one:1, tls://u:p@two:2", Address(["tls://one:1", "tls://two:2"], "u", "p")),
        ("nats://[::1]:4222", Address(["nats://[::1]:4222"])),
    ],
)
def test_credentials_are_separated_from_the_servers(url: str, address: Address) -> None:
    """Servers may be logged."""
    assert Address.parse(url) == address
    assert "secret" not in repr(Address.parse(url))


@pytest.mark.parametrize("url", ["", ",", "nats://", "nats://me:hunter2@"])
def test_a_url_without_a_host_is_rejected(url: str) -> None:
    """The message shows the accepted form, and not the password."""
    with pytest.raises(ValueError, match="looks like nats://user:password@host:4222") as caught:
        Address.parse(url)
    assert "hunter2" not in str(caught.value)
