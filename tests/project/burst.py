"""A client process that asks many times at once, from a given moment on.

Run as `python burst.py <port> <path> <times> <begin>` with the headers as JSON on stdin;
prints the statuses it got.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def main() -> None:
    port, path, times, begin = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    headers = json.load(sys.stdin)

    def ask(_: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    while time.time() < begin:
        time.sleep(0.001)
    with ThreadPoolExecutor(times) as threads:
        sys.stdout.write(json.dumps(list(threads.map(ask, range(times)))))


if __name__ == "__main__":
    main()
