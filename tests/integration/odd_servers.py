"""Servers that no framework would let be: they speak on the socket by themselves."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager, suppress

DRIP_S = 0.05


class OddServer:
    """Reads one request of each connection on a loopback port, and lets `speak` answer; remembers the requests."""

    def __init__(self, speak):
        self._speak = speak
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.origin = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.requests = []
        self._threads[0].start()

    def _accept(self):
        while not self._over.is_set():
            with suppress(OSError):
                connection, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            request = _read_request(connection)
            self.requests.append(request)
            self._speak(connection, request, self._over)

    def stop(self):
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)


def _read_request(connection):
    """The bytes of one request, its body included."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = read.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        piece = connection.recv(65536)
        body += piece or b"\0" * int(length[1])
    return head + b"\r\n\r\n" + body


@contextmanager
def speaking(speak):
    """An `OddServer` for as long as it is needed."""
    server = OddServer(speak)
    try:
        yield server
    finally:
        server.stop()


def dripping(start, drop):
    """Says `start`, and then `drop` again and again, until the other side hangs up."""

    def speak(connection, _request, over):
        connection.sendall(start)
        while not over.wait(DRIP_S):
            connection.sendall(drop)

    return speak


def saying(answer):
    """Says the same to everybody, and hangs up."""

    def speak(connection, _request, _over):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return speak
