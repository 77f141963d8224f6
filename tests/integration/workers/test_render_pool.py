"""Rendering processes that die, at any moment, are no fault of the steps that they were to render."""

import contextlib

import psutil

from workers.studio.render_pool import RenderPool

SKETCH = {"prompt": "harbour", "width": 96, "height": 96}
TIMES = 25


async def test_what_processes_are_forked_from_dies_just_before_a_step() -> None:
    """Just after it was killed, in one of four times the first connection to it is refused or cut."""
    pool = RenderPool(2, seconds=60)
    try:
        for _ in range(TIMES):
            await pool.warm()
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as such, too
                    if any("multiprocessing.forkserver" in word for word in process.cmdline()):
                        process.kill()
            assert await pool.render("sketch", "ab" * 32, SKETCH, {})
    finally:
        pool.close()
