"""CPU as the processes' own accounting has it."""

import os
import subprocess
import sys

from benchmarks.accounting import cpu_seconds, using

BURN = """
import sys, time
while time.process_time() < 0.3:
    pass
print("burnt", flush=True)
sys.stdin.read()
"""


def test_the_cpu_of_a_child_counts_while_it_runs_and_after_it_has_ended():
    with using(os.getpid()) as used:
        child = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline()
        assert cpu_seconds(child.pid) >= 0.2
        child.communicate()
    assert used.cpu >= 0.2


def test_a_process_that_is_gone_has_no_account_of_its_own():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert cpu_seconds(child.pid) == 0
