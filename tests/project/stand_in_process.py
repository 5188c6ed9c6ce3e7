"""A stand-in for one process of the stack: `stand_in_process.py <role> <port>`.

Appends what happens to it to `<data>/story`, one line per event with its process id.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROLE, PORT = sys.argv[1], int(sys.argv[2])


class Status(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


def tell(what):
    with (Path(os.environ["STABLEQUEUE_DATA"]) / "story").open("a") as story:
        story.write(f"{ROLE} {what} {os.getpid()}\n")


def end(*_):
    tell("stopped")
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
tell("started")
if ROLE == "gate":
    sys.exit(int(os.environ.get("STAND_IN_GATE_CODE", "0")))
if ROLE == "broken":
    sys.exit(1)
if ROLE == "web":
    HTTPServer(("127.0.0.1", PORT), Status).serve_forever()
sys.stdout.write("waits for work\n")
sys.stdout.flush()
while True:
    signal.pause()
