"""A client of acme-notes.

    client.py ask ADDRESS                       one answer, waiting a while for somebody to listen
    client.py press STOP ADDRESS...             asks without a pause until the file STOP is there

An address is a port of this host, or the path of a Unix socket. `press` prints one line an address: how many requests
there were, how many failed, how long the longest took, which versions answered, and the first failure.
"""

import pathlib
import socket
import sys
import threading
import time

THREADS = 3
PATIENCE = 20


def request(address):
    if address.startswith("/"):
        connection = socket.socket(socket.AF_UNIX)
        place = address
    else:
        connection = socket.socket()
        place = ("127.0.0.1", int(address))
    with connection:
        connection.settimeout(PATIENCE)
        connection.connect(place)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, text = answer.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 ")) or not text.endswith(b"\n"):
        raise OSError(f"answer {answer!r}")
    return text.decode().rstrip("\n")


def ask(address):
    for attempt in reversed(range(50)):
        try:
            return request(address)
        except OSError:
            if not attempt:
                raise
            time.sleep(0.1)


class Pressure:
    def __init__(self, address):
        self.address = address
        self.lock = threading.Lock()
        self.requests = 0
        self.slowest = 0.0
        self.failures = []
        self.versions = set()

    def press(self, stop):
        while not stop.exists():
            before = time.monotonic()
            try:
                version, failure = request(self.address).split()[0], None
            except OSError as error:
                version, failure = None, repr(error)
            with self.lock:
                self.requests += 1
                self.slowest = max(self.slowest, time.monotonic() - before)
                if failure is None:
                    self.versions.add(version)
                else:
                    self.failures.append(failure)
            if failure is not None:
                # A refusal comes at once: without this, failures would be counted by the processor's speed.
                time.sleep(0.01)


def press(stop, addresses):
    all_pressure = [Pressure(address) for address in addresses]
    threads = [
        threading.Thread(target=pressure.press, args=(pathlib.Path(stop),))
        for pressure in all_pressure
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pressure in all_pressure:
        print(
            f"{pressure.address}: {pressure.requests} requests, {len(pressure.failures)} failed,"
            f" slowest {pressure.slowest:.2f} s, versions {' '.join(sorted(pressure.versions))}",
            *pressure.failures[:1],
        )


if sys.argv[1] == "ask":
    print(ask(sys.argv[2]))
else:
    press(sys.argv[2], sys.argv[3:])
