#!/usr/bin/env python3
"""Takes what exabgp-pg-notify sends, and writes it down.

    receivers.py DIR PORT

HTTP on 127.0.0.1:PORT: each POST that is taken is a line of JSON in DIR/http (path, headers,
body), each that is not one in DIR/refused; DIR/answer, if there, has the status to answer with
(and the seconds to wait before that; and a value of Retry-After), 0 for none; DIR/hates, if there, what a
body must not contain: it is answered with 400.  Unix sockets DIR/dgram and DIR/stream: what comes is
written to DIR/syslog, a line each.
"""
import http.server
import json
import os
import re
import socket
import sys
import threading
import time

directory, port = sys.argv[1], int(sys.argv[2])


def note(name, text):
    with open(os.path.join(directory, name), "a", encoding="utf-8") as f:
        f.write(text + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            with open(os.path.join(directory, "answer"), encoding="ascii") as f:
                answer = f.read()
        except FileNotFoundError:
            answer = "200"
        status, wait, later = re.fullmatch(r"(\d+) ?(\S*) ?(.*)\n?", answer).groups()
        try:
            with open(os.path.join(directory, "hates"), encoding="ascii") as f:
                if f.read().strip() in body:
                    status = "400"
        except FileNotFoundError:
            pass
        time.sleep(float(wait or 0))
        if status == "0":
            return
        line = json.dumps({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
        note("http" if status == "200" else "refused", line)
        self.send_response(int(status))
        if status == "302":
            self.send_header("Location", "/elsewhere")
        if later:
            self.send_header("Retry-After", later)
        self.end_headers()
        try:
            self.wfile.write(b"no\n" if status != "200" else b"ok\n")
        except OSError:  # it did not wait
            pass

    def do_GET(self):
        note("refused", json.dumps({"path": self.path, "method": "GET"}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


dgram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
dgram.bind(os.path.join(directory, "dgram"))
stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.bind(os.path.join(directory, "stream"))
stream.listen()


def take_dgrams():
    while True:
        note("syslog", dgram.recv(65536).decode())


def take_streams():
    while True:
        connection = stream.accept()[0]
        data = b""
        while piece := connection.recv(65536):
            data += piece
        connection.close()
        note("syslog", "stream " + data.decode().rstrip("\0"))


for function in (take_dgrams, take_streams):
    threading.Thread(target=function, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
note("ready", "ready")
server.serve_forever()
