"""Free loopback ports that stay the same."""

import socket

from infra.embedded.ports import LOOPBACK, LOWEST, PortPicker, highest


def test_a_port_is_free_and_below_the_ephemeral_range() -> None:
    """So that no reconnecting client is given its server's own port as its source."""
    port = PortPicker().pick("postgres")
    assert LOWEST <= port <= highest()
    socket.create_server((LOOPBACK, port)).close()


def test_a_port_is_given_once() -> None:
    """Also when no server listens there yet."""
    picker = PortPicker()
    ports = [picker.pick(str(n)) for n in range(50)]
    assert len(set(ports)) == len(ports)
    assert picker.picked == {str(n): port for n, port in enumerate(ports)}


def test_the_port_of_last_time_is_preferred_while_it_is_free() -> None:
    """Addresses stay the same over restarts, unless another process uses the port."""
    before = PortPicker().pick("nats")
    assert PortPicker({"nats": before}).pick("nats") == before
    with socket.create_server((LOOPBACK, before)):
        assert PortPicker({"nats": before}).pick("nats") != before


def test_another_s_remembered_port_is_left_to_it() -> None:
    """A new name does not get the previous port of another one."""
    picker = PortPicker({"nats": 20_001, "s3": 20_002})
    assert picker.pick("new") not in {20_001, 20_002}


def test_a_given_port_is_taken_only_if_it_is_free() -> None:
    """For `up --port N`."""
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not PortPicker().take("edge-1", server.getsockname()[1])
