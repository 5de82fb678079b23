"""A network that loses datagrams, on this machine: a UDP relay between clients and one server.

    client <-> front socket | relay | a back socket for each client <-> server

The server sees each client at an address of its own, as it would without the relay.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading

HOST = "127.0.0.1"
MAX_CLIENTS = 16
MAX_DATAGRAM_BYTES = 65_507
BUFFER_BYTES = 4 << 20  # what the relay itself would lose must not count
BURST = 64  # datagrams of one socket before the next gets its turn
STOP_WITHIN_SECONDS = 0.1


class LossyRelay:
    """Use with `with`. Loses the fraction `loss` of the datagrams each way; the same `seed` rolls the same dice."""

    def __init__(self, server_port: int, loss: float, seed: int = 0) -> None:
        assert 0 <= loss < 1
        self.passed = self.lost = 0
        self._server, self._loss, self._dice = (HOST, server_port), loss, random.Random(seed)
        self._front = _socket()
        self._front.bind((HOST, 0))
        self.port: int = self._front.getsockname()[1]
        self._backs: dict[tuple, socket.socket] = {}  # by the client's address
        self._selector = selectors.DefaultSelector()
        self._should_stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lossy relay")

    def __enter__(self) -> LossyRelay:
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._should_stop.set()
        self._thread.join()
        self._selector.close()
        for each in (self._front, *self._backs.values()):
            each.close()

    def _run(self) -> None:
        while not self._should_stop.is_set():
            for key, _ in self._selector.select(STOP_WITHIN_SECONDS):
                self._carry(key.fileobj, key.data)

    def _carry(self, source: socket.socket, client: tuple | None) -> None:
        """Take what waits in a socket. `client`: whose back socket it is; None: the front."""
        for _ in range(BURST):
            try:
                packet, sender = source.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:  # the server's port is closed; the client will notice the silence
                continue
            if self._dice.random() < self._loss:
                self.lost += 1
            elif self._forward(packet, sender, client):
                self.passed += 1

    def _forward(self, packet: bytes, sender: tuple, client: tuple | None) -> bool:
        try:
            if client is not None:
                self._front.sendto(packet, client)
            elif back := self._back(sender):
                back.send(packet)
            else:
                return False
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def _back(self, client: tuple) -> socket.socket | None:
        if client not in self._backs and len(self._backs) < MAX_CLIENTS:
            back = _socket()
            back.connect(self._server)
            self._backs[client] = back
            self._selector.register(back, selectors.EVENT_READ, client)
        return self._backs.get(client)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return made
