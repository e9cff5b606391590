"""A bad network in user space: TCP passes, datagrams are lost, late, doubled and in any order."""

from __future__ import annotations

import heapq
import random
import select
import socket
import threading
import time
from collections.abc import Callable

HOST = "127.0.0.2"  # senders dial this instead of the box


class Relay:
    """Between senders and a box on 127.0.0.1, at the same port of 127.0.0.2.

    Attributes
    ----------
    fate : (random) -> sequence of float
        For a datagram to the box: the delays, in seconds, after which it arrives; none: it is lost.
    dropped, passed : int
        Datagrams to the box.
    caught : list of bytes
        The newest datagrams to the box, for those who want to send them again.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self._box = ("127.0.0.1", port)
        self.way_s = 0.0  # that a piece of a connection takes, in each direction
        self._random = random.Random(seed)
        self.fate: Callable[[random.Random], tuple[float, ...]] = lambda _: (0.0,)
        self.dropped = self.passed = 0
        self.caught: list[bytes] = []
        self._door = socket.create_server((HOST, port))
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((HOST, port))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.bind(("127.0.0.1", 0))
        self._stop = False
        self._threads = [
            threading.Thread(target=self._datagrams, daemon=True),
            threading.Thread(target=self._accept, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both directions."""
        self._stop = True
        self._threads[0].join(5)
        for one in (self._door, self._front, self.back):
            one.close()

    def _datagrams(self) -> None:
        flying: list[tuple[float, int, bytes]] = []
        sender, n = None, 0
        while not self._stop:
            now = time.monotonic()
            while flying and flying[0][0] <= now:
                self.back.sendto(heapq.heappop(flying)[2], self._box)
                self.passed += 1
            wait = min(flying[0][0] - now, 0.02) if flying else 0.02
            for one in select.select([self._front, self.back], [], [], wait)[0]:
                try:
                    data, address = one.recvfrom(2048)
                except ConnectionError:
                    continue
                if one is self.back:
                    if sender is not None:
                        self._front.sendto(data, sender)
                    continue
                sender = address
                self.caught = [*self.caught[-200:], data]
                fates = self.fate(self._random)
                self.dropped += not fates
                for delay in fates:
                    n += 1
                    heapq.heappush(flying, (time.monotonic() + delay, n, data))

    def _accept(self) -> None:
        while not self._stop:
            try:
                one, _ = self._door.accept()
            except OSError:
                return
            try:
                other = socket.create_connection(self._box)
            except OSError:
                one.close()
                continue
            for pair in ((one, other), (other, one)):
                threading.Thread(target=self._pipe, args=pair, daemon=True).start()

    def _pipe(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                time.sleep(self.way_s)
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            one.close()
