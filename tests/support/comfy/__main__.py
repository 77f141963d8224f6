"""`python -m tests.support.comfy [--port N] [--files DIR]`: the ComfyUI of COMFY_DIR in CPU mode, until Ctrl-C.

Without COMFY_DIR, `--stand-in` runs the stand-in that tests use.
"""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.support.comfy.real import RealComfy, comfy_dir


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.comfy", description=__doc__)
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--files", type=Path, help="inputs, outputs, models; a temporary folder if not given")
    arguments = parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
