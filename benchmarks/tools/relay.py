"""A bad network on this machine: a UDP relay between clients and one server that loses, repeats and
delays datagrams.

    client <-> front socket | relay | a back socket for each client <-> server

The server sees each client at an address of its own, as it would without the relay. Datagrams that
are delayed wait in a heap until they are due; those with different delays overtake each other.
"""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import socket
import threading
import time
from dataclasses import dataclass

HOST = "127.0.0.1"
MAX_CLIENTS = 16
MAX_DATAGRAM_BYTES = 65_507
BUFFER_BYTES = 4 << 20  # what the relay itself would lose must not count
BURST = 64  # datagrams of one socket before the next gets its turn
STOP_WITHIN_SECONDS = 0.1
REORDER_SECONDS = 0.03  # so much longer take those that are to be overtaken


@dataclass(frozen=True)
class Weather:
    """What happens to datagrams, each way alike: fractions that are lost, come twice, are
    overtaken; added delay.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0  # up to so much more

    def delays(self, dice: random.Random) -> list[float]:
        """Seconds until each copy of one datagram comes out; none: it is lost."""
        if dice.random() < self.loss:
            return []
        copies = 2 if self.duplicate and dice.random() < self.duplicate else 1
        return [self._delay(dice) for _ in range(copies)]

    def _delay(self, dice: random.Random) -> float:
        late = REORDER_SECONDS if self.reorder and dice.random() < self.reorder else 0.0
        return (
            self.delay_seconds
            + late
            + (dice.random() * self.jitter_seconds if self.jitter_seconds else 0.0)
        )


class LossyRelay:
    """Use with `with`. Loses the fraction `loss` of the datagrams each way, or has the `weather`
    that is given; the same `seed` rolls the same dice.
    """

    def __init__(
        self, server_port: int, loss: float = 0.0, seed: int = 0, weather: Weather | None = None
    ) -> None:
        self.weather = weather or Weather(loss)
        assert 0 <= self.weather.loss < 1
        self.passed = self.lost = self.doubled = 0
        self._server, self._dice = (HOST, server_port), random.Random(seed)
        # a heap: due, number, what to forward
        self._late: list[tuple[float, int, bytes, tuple, tuple | None]] = []
        self._numbers = itertools.count()
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
            wait = self._late[0][0] - time.monotonic() if self._late else STOP_WITHIN_SECONDS
            for key, _ in self._selector.select(min(max(wait, 0.0), STOP_WITHIN_SECONDS)):
                self._carry(key.fileobj, key.data)
            while self._late and self._late[0][0] <= time.monotonic():
                self._forward(*heapq.heappop(self._late)[2:])

    def _carry(self, source: socket.socket, client: tuple | None) -> None:
        """Take what waits in a socket. `client`: whose back socket it is; None: the front."""
        for _ in range(BURST):
            try:
                packet, sender = source.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                # the server's port is closed; the client will notice the silence
                continue
            delays = self.weather.delays(self._dice)
            self.lost += not delays
            self.doubled += len(delays) > 1
            for delay in delays:
                self._send(delay, packet, sender, client)

    def _send(self, delay: float, packet: bytes, sender: tuple, client: tuple | None) -> None:
        if delay:
            heapq.heappush(
                self._late, (time.monotonic() + delay, next(self._numbers), packet, sender, client)
            )
        else:
            self._forward(packet, sender, client)

    def _forward(self, packet: bytes, sender: tuple, client: tuple | None) -> None:
        try:
            if client is not None:
                self._front.sendto(packet, client)
            elif back := self._back(sender):
                back.send(packet)
            else:
                return
        except (BlockingIOError, ConnectionError):
            return
        self.passed += 1

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
