"""One whole set for all end-to-end tests; each test has users of its own."""

from collections.abc import Iterator

import pytest

from tests.support.running_set import RunningSet, running_set


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("e2e") / "data") as made:
        yield made
