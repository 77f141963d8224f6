from collections.abc import Iterator

import pytest

from tests.support.file_stores.s3 import s3_subject
from tests.support.file_stores.subject import Subject

KINDS = ("s3",)
READ_TIMEOUT = 1.0
"""Seconds, of the stores' clients; the service's own wait longer."""


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    match request.param:
        case "s3":
            with s3_subject(request.getfixturevalue("bucket"), READ_TIMEOUT) as subject:
                yield subject
