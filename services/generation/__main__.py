"""`python -m services.generation serve`, and `… worker` for the worker of the built-in workflows."""

import sys

from services.generation.app import SERVICE, build
from services.generation.settings import GenerationSettings
from shared.runtime import main


def run() -> None:
    if sys.argv[1:2] == ["worker"]:
        # Imported here: the worker renders, and the service should not carry numpy along.
        from services.generation.worker.run import main as work  # noqa: PLC0415

        work()
    else:
        main(SERVICE, GenerationSettings, build)


if __name__ == "__main__":
    run()
