"""Asks a server for a sign of life all the time, and prints what each took, in ms, as one JSON array, when its input ends.

    python pings.py PORT SECONDS_BETWEEN

A process of its own: beside a producer in the same interpreter it would measure how long it waited for that one.
"""

import json
import select
import socket
import sys
import time


def main(port, every_s):
    """Ask until standard input ends."""
    taken_ms = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as server:
        while not select.select([sys.stdin], [], [], every_s)[0]:
            begun = time.monotonic()
            server.sendall(b"PING\r\n")
            answer = server.recv(64)
            taken_ms.append((time.monotonic() - begun) * 1000)
            if answer != b"+PONG\r\n":
                sys.exit(f"the server answered {answer!r}")
    json.dump(taken_ms, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
