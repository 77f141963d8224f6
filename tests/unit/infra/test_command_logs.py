"""What commands log of an error is its traceback, without the values of variables, which may be secrets."""

import logging

import pytest
import structlog

from infra.cli.history import run


def test_a_logged_traceback_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()  # as in a command's process
    psycopg_level = logging.getLogger("psycopg").level

    def connect(password: str) -> None:
        raise ConnectionError(f"no answer after {len(password)} tries")

    async def work() -> None:
        try:
            connect(f"hunter{1 + 1}")
        except ConnectionError:
            structlog.get_logger().exception("it failed")

    run(work())
    logging.getLogger("psycopg").setLevel(psycopg_level)
    output = "".join(capsys.readouterr())
    assert "ConnectionError: no answer after 7 tries" in output
    assert "hunter2" not in output
