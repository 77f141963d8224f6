"""The worker of docs/how-to/write-a-worker.md works as printed, and has as many lines as promised."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.kit.testing import WorkerTest

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-worker.md"
BLOCKS = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULES = ("greeter", "test_greeter", "blocking")


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The guide's modules by file name, importable."""
    blocks = dict(BLOCKS.findall(GUIDE.read_text()))
    for name, code in blocks.items():
        (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield blocks
    for module in MODULES:
        sys.modules.pop(module, None)


def test_a_working_worker_has_20_lines(printed: dict[str, str]) -> None:
    assert set(printed) == {f"{module}.py" for module in MODULES}
    assert len(printed["greeter.py"].splitlines()) <= 20


async def test_the_printed_tests_pass(printed: dict[str, str]) -> None:
    module = importlib.import_module("test_greeter")
    tests = [test for name, test in inspect.getmembers(module) if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await test()


async def test_the_blocking_worker_counts(printed: dict[str, str]) -> None:
    async with WorkerTest(importlib.import_module("blocking").worker) as test:
        assert (await test.run("counting", {"to": 5})).texts == ["10"]
