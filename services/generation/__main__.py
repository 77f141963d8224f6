"""`python -m services.generation serve`, and `… worker` for the worker of the built-in workflows."""

import sys

# Imports are inside: the service should not carry numpy along, and the worker's rendering processes, which load this
# module again when they start, should not carry the service.


def run() -> None:
    if sys.argv[1:2] == ["worker"]:
        from services.generation.worker.run import main as work  # noqa: PLC0415 - as said above

        work()
    else:
        from services.generation.app import SERVICE, build  # noqa: PLC0415 - as said above
        from services.generation.settings import GenerationSettings  # noqa: PLC0415 - as said above
        from shared.runtime import main  # noqa: PLC0415 - as said above

        main(SERVICE, GenerationSettings, build)


if __name__ == "__main__":
    run()
