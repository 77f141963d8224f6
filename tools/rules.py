"""The rules of this repository that no linter knows: `python -m tools.rules`, a part of `make check`.

Prints each fault and exits with 1 if there is one. A fault that exceptions.toml lists is skipped; an exception that is
not needed any more is a fault, so the list can only shrink.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.exceptions import ROOT, exceptions
from tools.variable_names import refused_names

MAX_LINES = 300
REASON = re.compile(r"^\s*Over 300 lines: \S", re.MULTILINE)
"""In the docstring of a file that is longer."""
MAX_EQUAL_LINES = 11
"""Comments, docstrings, imports and signatures don't count."""
DOCUMENTED = ("shared", "workers/kit")
"""Libraries: their modules, public functions and methods have docstrings."""
DOCSTRING_RULES = "D100,D102,D103"


def main() -> int:
    """Runs all rules at once; most of the time is the search for duplicates, about 20 s of CPU."""
    with ThreadPoolExecutor() as pool:
        faults = [fault for of_rule in pool.map(lambda rule: list(rule()), RULES) for fault in of_rule]
    for fault in faults:
        print(fault)  # noqa: T201 - a command's output
    return 1 if faults else 0


def long_files() -> Iterator[str]:
    """Files of more than 300 lines without a line `Over 300 lines: <reason>` in their docstring."""
    places = set()
    for path in python_files():
        text = (ROOT / path).read_text()
        if text.count("\n") > MAX_LINES and not REASON.search(text):
            places.add(path)
    yield from report(
        places, exceptions().long_files, "long_files", "has more than 300 lines and states no reason: divide it"
    )


def docstrings() -> Iterator[str]:
    """Public names of libraries without a docstring."""
    folders = [folder for folder in DOCUMENTED if (ROOT / folder).is_dir()]
    command = ["-m", "ruff", "check", "--isolated", "--select", DOCSTRING_RULES, "--output-format", "json", *folders]
    faults = json.loads(run(command, succeeds=(0, 1)))
    places: dict[str, list[str]] = {}
    for fault in faults:
        path = str(Path(fault["filename"]).relative_to(ROOT))
        places.setdefault(path, []).append(f"{fault['location']['row']}")
    listed = exceptions().without_docstrings
    for path, lines in sorted(places.items()):
        if path not in listed:
            yield f"{path}:{lines[0]}: public, without a docstring; lines {', '.join(lines)}"
    yield from report_unneeded(set(places), listed, "without_docstrings")


def duplicates() -> Iterator[str]:
    """Twelve or more equal lines in two files; a place has both names: `a.py and b.py`."""
    options = ["-i", "--ignore-docstrings", "--ignore-imports", "--ignore-signatures"]
    program = "import sys; from pylint.checkers.symilar import Run; Run(sys.argv[1:])"
    output = run(["-c", program, "-d", str(MAX_EQUAL_LINES), *options, *python_files()])
    places: set[str] = set()
    for block in re.split(r"^\d+ similar lines in \d+ files$", output, flags=re.MULTILINE)[1:]:
        places.add(" and ".join(sorted(re.findall(r"^==(\S+):\[", block, re.MULTILINE))))
    yield from report(places, exceptions().duplicates, "duplicates", "have 12 equal lines or more: write them once")


def private_attributes() -> Iterator[str]:
    """That the exceptions of mypy's plugin are needed: mypy itself reports what is not excepted."""
    text = "\n".join((ROOT / path).read_text() for path in python_files() if not path.startswith("tests/"))
    listed = exceptions().private_attributes
    yield from report_unneeded(
        {name for name in listed if name.rpartition(".")[2] in text}, listed, "private_attributes"
    )


def variable_names() -> Iterator[str]:
    """Variables and parameters that are named by an everyday participle."""
    for path in python_files():
        for line, name in refused_names((ROOT / path).read_text()):
            yield (
                f"{path}:{line}: `{name}` does not say what it holds: name the variable or parameter with a noun, such "
                "as `events`, `answer` or `expected`"
            )


def report(places: set[str], listed: frozenset[str], rule: str, message: str) -> Iterator[str]:
    """Faults that are not listed, and listed exceptions that are no faults."""
    yield from (f"{place}: {message}" for place in sorted(places - listed))
    yield from report_unneeded(places, listed, rule)


def report_unneeded(places: set[str], listed: frozenset[str], rule: str) -> Iterator[str]:
    """Exceptions without a fault."""
    for place in sorted(listed - places):
        yield f"tools/exceptions.toml: {rule}: remove {place!r}, which follows the rule"


def python_files() -> list[str]:
    """Every Python file that git knows or would add, by its path from the root."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.py"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603 - a fixed command
    return [name for name in names if (ROOT / name).is_file()]


def run(arguments: list[str], succeeds: tuple[int, ...] = (0,)) -> str:
    """Runs a Python program and returns its output. Raises CalledProcessError if it fails."""
    completed = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if completed.returncode not in succeeds:
        sys.stderr.write(completed.stderr)
        raise subprocess.CalledProcessError(completed.returncode, arguments)
    return completed.stdout


RULES: tuple[Callable[[], Iterator[str]], ...] = (
    duplicates,
    docstrings,
    long_files,
    private_attributes,
    variable_names,
)

if __name__ == "__main__":
    sys.exit(main())
