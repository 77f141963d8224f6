"""R10, the rest of it: NATS alone, both servers together, and one database beneath a running service."""

from pathlib import Path

import pytest

from tests.faults import test_restore
from tests.faults.silent import SERVICES
from tests.faults.test_restore import assert_taken_back, assert_told, assert_whole, lived
from tests.support.backup import back_up, down, dump, restore, restore_dump
from tests.support.jobs import assert_rebuilds_are_equal
from tests.support.running_set import RunningSet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

running = test_restore.running


async def test_nats_goes_back_and_the_stores_do_not(running: RunningSet, tmp_path: Path) -> None:
    """Its folder is exchanged beneath running services: the relays publish the rest again."""
    earlier_load = await lived(running)
    with down(running, "nats"):
        back_up(running, "nats", tmp_path / "backup")
    later_load = await lived(running)
    with down(running, "nats"):
        restore(running, "nats", tmp_path / "backup")
    await assert_whole(running, earlier_load, later_load)


async def test_both_go_back_to_one_moment(running: RunningSet, tmp_path: Path) -> None:
    """Cold copies of the whole set, as a careful operator takes them."""
    earlier_load = await lived(running)
    running.stop()
    for server in ("postgres", "nats", "s3"):
        back_up(running, server, tmp_path / server)
    running.up()
    later_load = await lived(running)
    running.stop()
    for server in ("postgres", "nats", "s3"):
        restore(running, server, tmp_path / server)
    running.up()
    await assert_whole(running, earlier_load)
    await assert_taken_back(later_load)


@pytest.mark.parametrize("service", SERVICES)
async def test_one_database_goes_back_beneath_its_service(running: RunningSet, service: str, tmp_path: Path) -> None:
    """Dropped and restored from a dump while everything runs: noticed without a restart."""
    dump(running, service, tmp_path / "backup")
    await lived(running)
    restore_dump(running, service, tmp_path / "backup")
    assert_told(running, service)
    await lived(running)
    assert_rebuilds_are_equal(running)
