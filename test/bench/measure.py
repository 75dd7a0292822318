#!/usr/bin/env python3
"""Run a command, its standard input from a file, and say what it took.

    measure.py INPUT COMMAND [ARGUMENT]...

Prints one line: wall seconds, CPU seconds, peak resident KiB, exit status.
What the command writes is thrown away, except for its standard error.
"""

import os
import subprocess
import sys
import time


def main():
    with open(sys.argv[1], "rb") as stdin:
        begun = time.monotonic()
        child = subprocess.Popen(sys.argv[2:], stdin=stdin, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
    print(f"{wall:.4f} {usage.ru_utime + usage.ru_stime:.4f} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")


main()
