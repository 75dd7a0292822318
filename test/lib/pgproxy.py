#!/usr/bin/env python3
"""A proxy for PostgreSQL's protocol that injects faults.

    pgproxy.py --server SOCKET --listen SOCKET [--tcp PORT] --control SOCKET
    pgproxy.py --control SOCKET --send		commands from standard input, answers to standard output

It listens on the unix socket --listen (DIR/.s.PGSQL.PORT for libpq) and on 127.0.0.1:PORT,
and passes whole messages (PostgreSQL manual, chapter 55) to and from --server.  Commands
come as lines on the control socket, one answer line each:

    cut KIND [N] [before|after]  close both sides when the N-th message of KIND from now on
                                 passes, before or after (default) it is forwarded
    drop                         close all connections now
    stall up|down|both           forward nothing to the server, from it, or either way: it waits
    delay MS                     each message waits so long
    blackhole                    accept connections, never answer them; those there are stall
    refuse                       listen no more
    random SEED P                cut with probability P at each message, before or after it
    pass                         end all of these; what waited is forwarded
    counts                       faults done, by kind: "cut-query-after=2 stall=1 ..."
    cuts                         how many connections "cut" and "random" have cut
    seen                         messages that passed, by kind

Kinds are named after the messages; besides, "commit" is the Query COMMIT and "commit-answer"
the CommandComplete COMMIT.  The counts are printed at the end (SIGTERM).
"""
import argparse
import asyncio
import collections
import os
import random
import signal
import socket
import struct
import sys

UP = {
    b"Q": "query", b"P": "parse", b"B": "bind", b"D": "describe", b"E": "execute", b"S": "sync", b"H": "flush",
    b"C": "close", b"d": "copy-data", b"c": "copy-done", b"f": "copy-fail", b"X": "terminate", b"p": "password",
}
DOWN = {
    b"R": "authentication", b"S": "parameter-status", b"K": "backend-key", b"Z": "ready", b"T": "row-description",
    b"D": "data-row", b"C": "complete", b"G": "copy-in", b"E": "error", b"N": "notice", b"1": "parse-complete",
    b"2": "bind-complete", b"n": "no-data", b"I": "empty",
}
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Cut(Exception):
    """both sides are to be closed"""


def kind_of(kind, text, up):
    """the name of a message: kind is its type byte, text what follows the length"""
    if up and kind == b"Q" and text.rstrip(b"\0 ;").upper() == b"COMMIT":
        return "commit"
    if not up and kind == b"C" and text == b"COMMIT\0":
        return "commit-answer"
    return (UP if up else DOWN).get(kind, "other")


class Proxy:
    def __init__(self, options):
        self.options = options
        self.servers = []
        self.links = []             # pairs of transports
        self.faults = collections.Counter()
        self.seen = collections.Counter()
        self.flow = {True: asyncio.Event(), False: asyncio.Event()}
        self.over = asyncio.Event()
        self.reset()

    def reset(self):
        self.cut = None             # [kind, how many until, before?]
        self.delay = 0
        self.chance = 0
        self.blackhole = False
        for flow in self.flow.values():
            flow.set()

    async def listen(self):
        if self.servers:
            return
        path = self.options.listen
        if os.path.exists(path):
            os.unlink(path)
        self.servers.append(await asyncio.start_unix_server(self.serve, path))
        os.chmod(path, 0o777)
        if self.options.tcp:
            self.servers.append(await asyncio.start_server(self.serve, "127.0.0.1", self.options.tcp))

    # --- a connection ---------------------------------------------------------------

    async def serve(self, reader, writer):
        link = [writer.transport]
        self.links.append(link)
        pumps = []
        try:
            if self.blackhole:
                self.faults["blackholed"] += 1
                await self.flow[True].wait()
            server_reader, server_writer = await asyncio.open_unix_connection(self.options.server)
            link.append(server_writer.transport)
            for transport in link:
                transport.set_write_buffer_limits(0)    # drain() is when the kernel has all
            pumps = [asyncio.ensure_future(self.pump(reader, server_writer, True, writer)),
                     asyncio.ensure_future(self.pump(server_reader, writer, False, None))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass                                        # the server is away: so are we
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for transport in link:
                transport.abort()
            self.links = [other for other in self.links if other is not link]

    async def pump(self, reader, writer, up, asker):
        try:
            if up:
                await self.startup(reader, writer, asker)
            while True:
                head = await reader.readexactly(5)
                text = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                await self.forward(kind_of(head[:1], text, up), head + text, writer, up)
        except (Cut, OSError, asyncio.IncompleteReadError):
            pass

    async def startup(self, reader, writer, asker):
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            if code in (SSL_REQUEST, GSS_REQUEST):
                asker.write(b"N")
                continue
            text = await reader.readexactly(length - 8)
            await self.forward("startup", head + text, writer, True)
            return

    async def forward(self, kind, message, writer, up):
        cut, before = False, False
        if self.delay:
            await asyncio.sleep(self.delay / 1000)
        await self.flow[up].wait()
        self.seen[kind] += 1
        if self.cut is not None and self.cut[0] == kind:
            self.cut[1] -= 1
            if self.cut[1] == 0:
                cut, before = True, self.cut[2]
                self.cut = None
        if not cut and self.chance and self.random.random() < self.chance:
            cut, before = True, self.random.random() < 0.5
        if not cut or not before:
            writer.write(message)
            await writer.drain()
        if cut:
            self.faults["cut-%s-%s" % (kind, "before" if before else "after")] += 1
            raise Cut

    # --- control ------------------------------------------------------------------------

    def drop(self):
        for link in self.links:
            for transport in link:
                transport.abort()
        self.faults["drop"] += 1

    def stall(self, which):
        for up in (True, False):
            if which in ("both", "up" if up else "down"):
                self.flow[up].clear()

    async def command(self, words):
        name, arguments = words[0], words[1:]
        if name == "cut":
            count = int(arguments[1]) if len(arguments) > 1 else 1
            self.cut = [arguments[0], count, arguments[2:] == ["before"]]
        elif name == "drop":
            self.drop()
        elif name == "stall":
            self.stall(arguments[0])
            self.faults["stall-" + arguments[0]] += 1
        elif name == "delay":
            self.delay = float(arguments[0])
            self.faults["delay"] += 1
        elif name == "blackhole":
            self.blackhole = True
            self.stall("both")
            self.faults["blackhole"] += 1
        elif name == "refuse":
            while self.servers:
                self.servers.pop().close()
            self.faults["refuse"] += 1
        elif name == "random":
            self.random = random.Random(int(arguments[0]))
            self.chance = float(arguments[1])
        elif name == "pass":
            self.reset()
            await self.listen()
        elif name == "counts":
            return listing(self.faults)
        elif name == "cuts":
            return str(sum(n for kind, n in self.faults.items() if kind.startswith("cut-")))
        elif name == "seen":
            return listing(self.seen)
        else:
            return "unknown command"
        return "done"

    async def control(self, reader, writer):
        async for line in reader:
            if line.split():
                try:
                    answer = await self.command(line.decode().split())
                except (IndexError, ValueError) as error:
                    answer = f"error: {error}"
                writer.write(answer.encode() + b"\n")
        writer.close()


def listing(counter):
    return " ".join(f"{kind}={n}" for kind, n in sorted(counter.items()))


async def run(options):
    proxy = Proxy(options)
    await proxy.listen()
    control = await asyncio.start_unix_server(proxy.control, options.control)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, proxy.over.set)
    print("ready", flush=True)
    await proxy.over.wait()
    control.close()
    print(listing(proxy.faults), flush=True)
    # what is still open ends with the process
    os._exit(0)


def send(options):
    status = 0
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(options.control)
        answers = control.makefile()
        for command in sys.stdin:
            control.sendall(command.rstrip("\n").encode() + b"\n")
            answer = answers.readline().rstrip("\n")
            print(answer, flush=True)
            status |= answer.startswith(("error", "unknown"))
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server")
    parser.add_argument("--listen")
    parser.add_argument("--tcp", type=int, default=0)
    parser.add_argument("--control", required=True)
    parser.add_argument("--send", action="store_true")
    options = parser.parse_args()
    if options.send:
        return send(options)
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
