"""Servers that no framework would let be: they speak on the socket by themselves."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

DRIP_S = 0.05


class OddServer:
    """Accepts every connection on a loopback port and lets `speak` have it; counts the connections."""

    def __init__(self, speak):
        self._speak = speak
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.origin = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self._threads[0].start()

    def _accept(self):
        while not self._over.is_set():
            with suppress(OSError):
                connection, _ = self._listening.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            connection.recv(65536)
            self._speak(connection, self._over)

    def stop(self):
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)


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

    def speak(connection, over):
        connection.sendall(start)
        while not over.wait(DRIP_S):
            connection.sendall(drop)

    return speak


def saying(answer):
    """Says the same to everybody, and hangs up."""

    def speak(connection, over):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return speak
