"""Entries that can't be written are dropped and counted; the caller continues."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.telemetry import configure_logging, get_logger


class Disk(io.StringIO):
    is_full = False

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture
def disk() -> Iterator[Disk]:
    handlers = logging.getLogger().handlers
    disk = Disk()
    configure_logging(service="test", stream=disk)
    yield disk
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


def test_on_a_full_disk_logging_does_not_raise(disk: Disk) -> None:
    """Neither through structlog nor through the standard library."""
    log = get_logger("it")
    disk.is_full = True
    log.warning("lost")
    logging.getLogger("library").warning("lost too")
    disk.is_full = False
    log.warning("kept")
    loss, record = [json.loads(line) for line in disk.getvalue().splitlines()]
    assert loss["lines"] >= 2
    assert record["event"] == "kept"
