#!/usr/bin/env python3
"""Runs the helper as ExaBGP does, writes numbered lines to it, and measures its stalls.

    supervisor.py [--count N] [--rate LINES_PER_SECOND] [--peers N] [--first N] [--pid N]
        [--steps] [--seed N] [--control FIFO] [--report FILE] [--spawned FILE] -- HELPER [ARGUMENT]...

The helper's standard input is one pipe for all its lives: what one that was killed had not
read, the next one reads.  It is started again as soon as it ends.  When the lines are written,
the pipe is closed; when the helper ends after that, so does this program, with its status.
SIGTERM kills the helper and leaves.

Lines of the control FIFO: "kills MS": kill -9 at random instants, MS apart on average (0: no
more); "kill"; "signal NAME" to the helper; "rate N"; "end": write no more.

A stall is the time during which there are bytes in the pipe and none of them is taken: what
was written, less what FIONREAD says is in the pipe, is watched about every millisecond.
Stalls while no helper lives, until the next one has read something, are counted apart
("respawn").  When this program was not run in time itself ("sampler"), only what is certain
counts.  The report has one "key=value" a line.
"""
import argparse
import collections
import ctypes
import fcntl
import math
import mmap
import os
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from numbered import line

SAMPLE_S = 0.001
LATE_S = 0.005          # a sample that comes so late is a gap of the sampler
ATOMIC_BYTES = 4096     # PIPE_BUF: such a write arrives whole


class Shared(ctypes.Structure):
    """what the writer, a process of its own, and the sampler tell each other"""
    _fields_ = [("bytes", ctypes.c_uint64), ("lines", ctypes.c_uint64), ("rate", ctypes.c_double),
                ("stop", ctypes.c_uint64), ("done", ctypes.c_uint64)]


# --- the writer ----------------------------------------------------------------------


def write_all(fd, data, shared):
    view = memoryview(data)
    while view:
        try:
            n = os.write(fd, view)
        except BlockingIOError:
            select.select([], [fd], [])
            continue
        shared.bytes += n
        view = view[n:]


def write_lines(fd, shared, options):
    """whole lines in writes that the pipe takes whole; at the rate, which may change"""
    n, last = options.first, options.first + options.count
    chunk, lines, due, before = b"", 0, 0.0, time.monotonic()
    while n < last and not shared.stop:
        rate = shared.rate
        if rate > 0:
            now = time.monotonic()
            due = min(due + (now - before) * rate, rate)
            before = now
            if due < 1:
                time.sleep(min(0.002, 1 / rate))
                continue
        for n in range(n, min(last, n + (int(due) if rate > 0 else 100))):
            data = line(n, options.peers, options.start, options.pid, options.steps).encode()
            if len(chunk) + len(data) > ATOMIC_BYTES:
                write_all(fd, chunk, shared)
                shared.lines += lines
                chunk, lines = b"", 0
            chunk += data
            lines += 1
            due -= 1
        n += 1
        write_all(fd, chunk, shared)
        shared.lines += lines
        chunk, lines = b"", 0
    shared.done = 1


def start_writer(fds, shared, options):
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(fds[0])
        os.set_blocking(fds[1], False)
        write_lines(fds[1], shared, options)
        status = 0
    finally:
        os._exit(status)


# --- measuring -------------------------------------------------------------------------


class Durations:
    """how long things took, in classes of a twentieth of a decade"""

    def __init__(self):
        self.classes = collections.Counter()
        self.count, self.longest = 0, 0.0

    def add(self, seconds):
        self.count += 1
        self.longest = max(self.longest, seconds)
        self.classes[math.floor(20 * math.log10(max(seconds, 1e-4)))] += 1

    def percentile(self, p):
        """in seconds: the upper end of its class"""
        left = self.count * p
        for number in sorted(self.classes):
            left -= self.classes[number]
            if left <= 0:
                return min(10 ** ((number + 1) / 20), self.longest)
        return 0.0

    def report(self, name, out):
        print(f"{name}_count={self.count}", file=out)
        for label, p in (("p50", 0.5), ("p99", 0.99)):
            print(f"{name}_{label}_ms={self.percentile(p) * 1000:.1f}", file=out)
        print(f"{name}_max_ms={self.longest * 1000:.1f}", file=out)

    def histogram(self):
        decades = collections.Counter()
        for number, n in self.classes.items():
            decades[math.floor(number / 20)] += n
        names = {-4: "<1ms", -3: "1-10ms", -2: "10-100ms", -1: "0.1-1s", 0: "1-10s", 1: ">10s"}
        return " ".join(f"{names[d]}:{decades[d]}" for d in names if d in decades)


class Sampler:
    def __init__(self, fd, shared):
        self.fd, self.shared = fd, shared
        self.taken = 0
        self.since = self.last = None       # of the stall under way: first and last sample
        self.respawn = False                # there was no helper during it
        self.previous = time.monotonic()
        self.stalls, self.respawns, self.gaps = Durations(), Durations(), Durations()

    def sample(self, alive):
        now = time.monotonic()
        if now - self.previous > LATE_S:
            self.gaps.add(now - self.previous)
        written = self.shared.bytes         # first: then it is not too much
        waiting = struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0" * 4))[0]
        taken = written - waiting
        if taken > self.taken or waiting == 0:
            if self.since is not None:
                end = now if now - self.last <= LATE_S else self.last
                (self.respawns if self.respawn else self.stalls).add(end - self.since)
            self.since = None
            self.respawn = False
            self.taken = max(self.taken, taken)
        if waiting > 0 and self.since is None:
            self.since = now
        if self.since is not None:
            self.last = now
            self.respawn = self.respawn or not alive
        self.previous = now

    def killed(self):
        self.respawn = True


# --- the helper ---------------------------------------------------------------------------


class Supervisor:
    def __init__(self, options):
        self.options = options
        self.shared = Shared.from_buffer(mmap.mmap(-1, mmap.PAGESIZE))
        self.shared.rate = options.rate
        self.pipe = os.pipe()
        self.writer = start_writer(self.pipe, self.shared, options)
        os.close(self.pipe[1])
        self.sampler = Sampler(self.pipe[0], self.shared)
        self.random = random.Random(options.seed)
        self.control = os.open(options.control, os.O_RDWR | os.O_NONBLOCK) if options.control else None
        self.commands = b""
        self.helper = None
        self.spawns = self.kills = self.exits = self.rss_kb = 0
        self.kill_ms, self.kill_at = 0, None
        self.ended = False                  # all is written and the pipe closed
        self.status = None

    def spawn(self):
        self.helper = subprocess.Popen(self.options.helper, stdin=self.pipe[0], stdout=subprocess.DEVNULL)
        self.spawns += 1
        if self.options.spawned:
            with open(self.options.spawned, "a", encoding="ascii") as out:
                print(self.helper.pid, file=out)

    def reap(self):
        """whether there is nothing more to do"""
        if self.helper.poll() is None:
            return False
        if self.ended and self.helper.returncode >= 0:
            self.status = self.helper.returncode
            return True
        if self.helper.returncode >= 0:
            self.exits += 1                 # it has no right to
        self.sampler.killed()
        self.spawn()
        return False

    def kill(self):
        self.sampler.killed()
        self.helper.kill()
        self.kills += 1

    def next_kill(self, now):
        self.kill_at = now + self.random.expovariate(1000 / self.kill_ms) if self.kill_ms else None

    def obey(self, words):
        if words[0] == "kills":
            self.kill_ms = float(words[1])
            self.next_kill(time.monotonic())
        elif words[0] == "kill":
            self.kill()
        elif words[0] == "signal":
            self.helper.send_signal(getattr(signal, "SIG" + words[1]))
        elif words[0] == "rate":
            self.shared.rate = float(words[1])
        elif words[0] == "end":
            self.shared.stop = 1

    def take_commands(self):
        if self.control is None:
            return
        try:
            self.commands += os.read(self.control, 4096)
        except BlockingIOError:
            return
        *lines, self.commands = self.commands.split(b"\n")
        for text in lines:
            if text.split():
                self.obey(text.decode().split())

    def look_at_memory(self):
        try:
            with open(f"/proc/{self.helper.pid}/status", encoding="ascii") as status:
                for text in status:
                    if text.startswith("VmHWM:"):
                        self.rss_kb = max(self.rss_kb, int(text.split()[1]))
        except OSError:
            pass

    def lines_left(self):
        return self.options.count - self.shared.lines

    def run(self):
        turn = 0
        self.spawn()
        while not self.reap():
            now = time.monotonic()
            # a line of each peer must follow, or nobody could tell what the last one killed has lost
            if self.kill_at is not None and now >= self.kill_at:
                if not self.shared.done and self.lines_left() > 10 * self.options.peers:
                    self.kill()
                self.next_kill(now)
            self.sampler.sample(self.helper.poll() is None)
            if turn % 16 == 0:
                self.take_commands()
            if turn % 128 == 0:
                self.look_at_memory()
            if self.shared.done and not self.ended:
                os.waitpid(self.writer, 0)
                self.writer = None
                self.ended = True
            turn += 1
            time.sleep(SAMPLE_S)

    def report(self):
        sampler = self.sampler
        with open(self.options.report, "w", encoding="ascii") if self.options.report else sys.stdout as out:
            for key, value in (("lines", self.shared.lines), ("bytes", self.shared.bytes), ("spawns", self.spawns),
                               ("kills", self.kills), ("exits", self.exits), ("status", self.status),
                               ("rss_max_kb", self.rss_kb)):
                print(f"{key}={value}", file=out)
            sampler.stalls.report("stall", out)
            sampler.respawns.report("respawn", out)
            sampler.gaps.report("sampler", out)
            print(f"stall_histogram={sampler.stalls.histogram()}", file=out)

    def leave(self, *_):
        for pid in (self.writer, self.helper and self.helper.pid):
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        os._exit(143)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1 << 40)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--peers", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--start", type=float, default=1700000000)
    parser.add_argument("--pid", type=int, default=4242)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control")
    parser.add_argument("--report")
    parser.add_argument("--spawned")
    parser.add_argument("helper", nargs="+")
    supervisor = Supervisor(parser.parse_args())
    signal.signal(signal.SIGTERM, supervisor.leave)
    signal.signal(signal.SIGINT, supervisor.leave)
    supervisor.run()
    supervisor.report()
    return supervisor.status


if __name__ == "__main__":
    sys.exit(main())
