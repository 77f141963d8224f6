"""The order of the fault suites, of which two run at a time."""

from collections import Counter

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests come first, and those of many short ones last, so that the processes end at about one time.

    A process is sent its next file when two tests are left of the one before.
    """
    tests_in = Counter(item.path for item in items)
    items.sort(key=lambda item: tests_in[item.path] if item.get_closest_marker("faults") else 0)
