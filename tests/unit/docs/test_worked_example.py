"""The worked example of how to add an event, a command, a projection and a service works as it stands in the guide."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

import services
import shared.contracts
from shared.projections.projection import fold_batch
from tests.support.running_set import ROOT

GUIDE = ROOT / "docs" / "how-to" / "add-an-event-a-command-a-projection-a-service.md"
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's files in a folder; its packages are found beside those of the repository."""
    for block in BLOCK.finditer(GUIDE.read_text()):
        path = tmp_path / block[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block[2])
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path / "services")])
    monkeypatch.setattr(shared.contracts, "__path__", [*shared.contracts.__path__, str(tmp_path / "shared/contracts")])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("services.likes", "shared.contracts.likes"))]:
        del sys.modules[name]
    for package, name in ((services, "likes"), (shared.contracts, "likes")):
        vars(package).pop(name, None)


@pytest.mark.usefixtures("example")
def test_the_service_is_defined() -> None:
    app = importlib.import_module("services.likes.app")
    assert {route.handler_name for route in app.ROUTES} == {"like", "withdraw", "count_likes"}
    app.SERVICE.codec()
    importlib.import_module("services.likes.__main__")


def test_its_specification_holds(example: Path) -> None:
    names: dict[str, Any] = {}
    exec((example / "tests/unit/likes/test_likes.py").read_text(), names)
    specifications = [value for name, value in names.items() if name.startswith("test_")]
    assert len(specifications) == 2
    for specification in specifications:
        specification()


@pytest.mark.usefixtures("example")
def test_its_projection_keeps_a_row_while_a_collection_is_liked() -> None:
    events = importlib.import_module("shared.contracts.likes")
    table = importlib.import_module("services.likes.projections.likes").LIKES
    queries = importlib.import_module("services.likes.queries")
    alice, birds = UUID(int=1), UUID(int=2)
    liked, withdrawn = [
        cast("Any", SimpleNamespace(event=event(alice, birds), recorded_at=datetime(2026, 12, 1, tzinfo=UTC)))
        for event in (events.CollectionLiked, events.LikeWithdrawn)
    ]
    [key] = table.keys(liked)
    rows = fold_batch(table, [(liked, (key,))], {})
    assert rows[key].liked_at == liked.recorded_at
    assert fold_batch(table, [(withdrawn, (key,))], rows) == {key: None}
    assert table.table in queries.COUNT_LIKES


def test_it_is_formatted_and_linted_like_the_repository(example: Path) -> None:
    check = ["ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--ignore", "I001,INP001,D,ANN,S101", "."]
    done = subprocess.run([sys.executable, "-m", *check], cwd=example, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    format_ = ["ruff", "format", "--diff", "--config", str(ROOT / "pyproject.toml"), "."]
    done = subprocess.run([sys.executable, "-m", *format_], cwd=example, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
