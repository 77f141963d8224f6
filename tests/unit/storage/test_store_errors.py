"""Errors of HTTP clients quote the URLs of requests, with which anybody could repeat these."""

import pytest
from structlog.testing import capture_logs

from services.storage.providers.file_store import unavailable


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Goog-Signature", "Signature", "sig"])
def test_the_log_has_no_signature(name: str):
    with capture_logs() as logs:
        problem = unavailable(OSError(f"GET http://store/a.txt?x=1&{name}=c0ffee%2B&y=2 timed out"))
    assert problem.code == "UNAVAILABLE"
    assert "c0ffee" not in str(logs)
    assert f"x=1&{name}=…&y=2 timed out" in str(logs)
