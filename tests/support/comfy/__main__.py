"""`python -m tests.support.comfy [--port N] [--files DIR]`: the ComfyUI of COMFY_DIR in CPU mode, until Ctrl-C.

With `--stand-in SECONDS`, the stand-in that tests use, which takes so long for each node.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.support.comfy.real import RealComfy, comfy_dir
from tests.support.comfy.standin import StandIn


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.comfy", description=__doc__)
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--files", type=Path, help="inputs, outputs, models; a temporary folder if not given")
    parser.add_argument("--stand-in", type=float, metavar="SECONDS")
    arguments = parser.parse_args()
    if arguments.stand_in is not None:
        return asyncio.run(serve_stand_in(arguments.port, arguments.stand_in))
    code = comfy_dir()
    if code is None:
        print("Set COMFY_DIR to the folder of a ComfyUI (the one with main.py).", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="comfy-") as temporary:
        comfy = RealComfy(code, (arguments.files or Path(temporary)).resolve(), arguments.port).start()
        print(f"ready {comfy.url}", flush=True)
        stopping.wait()
        comfy.stop()
    return 0


async def serve_stand_in(port: int, seconds: float) -> int:
    comfy, stopping = StandIn(), asyncio.Event()
    comfy.node_seconds = seconds
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await comfy.open(port)
    print(f"ready {comfy.url}", flush=True)
    await stopping.wait()
    await comfy.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
