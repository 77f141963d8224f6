"""Which addresses are fetched on a user's behalf: none that is private, however it is written."""

from ipaddress import ip_address

import pytest
from yarl import URL

from shared.public_addresses import NotAllowed, PublicAddresses, PublicResolver

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address):
    with pytest.raises(NotAllowed):
        PublicAddresses().check_address("example.com", ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_fetched(address):
    PublicAddresses().check_address("example.com", ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/",
        "http://user:word@example.com/",
        "http://user@example.com/",
        "http://127.0.0.1/",
        "http://[::1]:8080/",
        "http://[::ffff:169.254.169.254]/latest",
    ],
)
def test_a_url_that_needs_no_resolution_to_be_refused(url):
    with pytest.raises(NotAllowed):
        PublicAddresses().check_url(URL(url))


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1."])
async def test_every_spelling_of_this_machine_is_refused(host):
    """Those that no library calls an address are resolved, and the addresses found are looked at."""
    addresses = PublicAddresses()

    async def look() -> None:
        addresses.check_url(URL.build(scheme="http", host=host))
        await PublicResolver(addresses).resolve(host, 80)

    with pytest.raises(OSError):  # NotAllowed; some resolvers do not know the name at all
        await look()


@pytest.mark.parametrize(
    ("allowed", "host", "address"),
    [
        ("127.0.0.0/8", "localhost", "127.0.0.1"),
        ("10.1.2.3", "models", "10.1.2.3"),
        ("fd00::/8", "models", "fd12::1"),
        ("models.internal", "Models.Internal", "10.0.0.9"),
        ("127.0.0.1", "localhost", "::ffff:127.0.0.1"),
    ],
)
def test_a_private_address_that_is_listed_is_fetched(allowed, host, address):
    PublicAddresses([allowed]).check_address(host, ip_address(address))
    with pytest.raises(NotAllowed):
        PublicAddresses([allowed]).check_address("other", ip_address("192.168.7.7"))


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "a b", "http://x", "*"])
def test_an_entry_that_is_none_is_refused(entry):
    with pytest.raises(ValueError, match="no host name, address or network"):
        PublicAddresses([entry])
