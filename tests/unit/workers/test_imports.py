"""A worker knows the worker protocol, the kit, and which addresses are public, as its imports of this project show."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

WORKERS = Path(__file__).parents[3] / "workers"
OURS = ("infra", "services", "shared", "workers")
MODULES = [path for path in sorted(WORKERS.rglob("*.py")) if path.relative_to(WORKERS).parts[0] != "kit"]


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(WORKERS)))
def test_a_worker_imports_contracts_the_kit_and_itself(module: Path) -> None:
    own = f"workers.{module.relative_to(WORKERS).parts[0]}"
    allowed = ("shared.contracts", "shared.public_addresses", "workers.kit", own)
    others = [name for name in imported(module) if name.split(".")[0] in OURS]
    assert not [name for name in others if not any(name == part or name.startswith(f"{part}.") for part in allowed)]
