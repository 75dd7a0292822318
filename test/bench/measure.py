#!/usr/bin/env python3
"""Run a command, its standard input from a file, and say what it took.

    measure.py INPUT COMMAND [ARGUMENT]...

Prints one line: wall seconds, seconds of these in which the busiest thread was
ready but other programs had the CPU, CPU seconds of the command, CPU seconds of the
server, peak resident KiB, exit status.  What the command writes is thrown away,
except for its standard error.

The server is that of BENCH_POSTMASTER, a process id; its CPU is that of the
connection that worked most among those made meanwhile.  Times of threads are read
every few milliseconds (/proc/PID/schedstat), so up to 20 ms of them may be missing.
"""

import os
import subprocess
import sys
import time


class Threads:
    """CPU and waiting time of threads, as last seen."""

    def __init__(self):
        self.seen = {}

    def read(self, path):
        try:
            with open(path) as f:
                run, wait = f.read().split()[:2]
        except OSError:
            return
        self.seen[path] = (int(run) / 1e9, int(wait) / 1e9)

    def busiest(self):
        return max(self.seen.values(), default=(0.0, 0.0))


def backends(postmaster):
    if not postmaster:
        return set()
    with open(f"/proc/{postmaster}/task/{postmaster}/children") as f:
        return set(f.read().split())


def main():
    postmaster = os.environ.get("BENCH_POSTMASTER")
    before = backends(postmaster)
    client, server = Threads(), Threads()
    with open(sys.argv[1], "rb") as stdin:
        begun = time.monotonic()
        child = subprocess.Popen(sys.argv[2:], stdin=stdin, stdout=subprocess.DEVNULL)
        tasks = f"/proc/{child.pid}/task"
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            for task in os.listdir(tasks):
                client.read(f"{tasks}/{task}/schedstat")
            for backend in backends(postmaster) - before:
                server.read(f"/proc/{backend}/schedstat")
            time.sleep(0.02)
        wall = time.monotonic() - begun
    waited = max(client.busiest(), server.busiest())[1]
    print(f"{wall:.4f} {min(waited, wall):.4f} {usage.ru_utime + usage.ru_stime:.4f} {server.busiest()[0]:.4f} "
          f"{usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")


main()
