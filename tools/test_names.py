"""`python -m tools.test_names`: whether all tests load, and have the same names each time.

Parallel test processes must collect the same tests. A name from a random id, or from the order of a set, differs from
process to process, and none of the tests would run.
"""

import os
import subprocess
import sys
from itertools import zip_longest

COLLECT = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"]


def main() -> int:
    """0; otherwise 1, with what pytest printed, or with the first name that differs."""
    # Sets of strings have another order under another hash seed.
    collections = [
        subprocess.Popen(  # noqa: S603 - arguments of our own
            COLLECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    outputs = [collection.communicate()[0] for collection in collections]
    for collection, output in zip(collections, outputs, strict=True):
        if collection.returncode:
            sys.stderr.write(output)
            return 1
    names = [[line for line in output.splitlines() if "::" in line] for output in outputs]
    for first, second in zip_longest(*names):
        if first != second:
            sys.stderr.write(f"a test has another name each time it is collected:\n  {first}\n  {second}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
