"""A worker to be killed: `python -m tests.faults.mortal_worker` prints each step that it begins, and takes its time."""

import asyncio

from workers.kit import Step, Worker

SECONDS = 0.3

worker = Worker("mortal")


@worker.handles("sketch")
async def sketch(step: Step) -> str:
    print(step.sid, flush=True)
    await asyncio.sleep(SECONDS)
    return f"done {step.sid}"


if __name__ == "__main__":
    worker.run()
