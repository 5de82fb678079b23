"""A server that misbehaves on purpose, and the replies that it is made of."""

import socket
import threading

from osc_protocol import ROOT, decode_packet, encode

EDIT, PING = f"{ROOT}/edit", f"{ROOT}/ping"
VERSION = encode(f"{ROOT}/version.reply", "retimbre", 0, 1, "0", 1, "")


class Peer:
    """A UDP socket, and a function from a request to the packets that answer it.

    It answers pings, the greeting, by itself.
    """

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.is_open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while self.is_open:
            try:
                packet, source = self.socket.recvfrom(65_507)
            except TimeoutError:
                continue
            for request in decode_packet(packet):
                is_ping = request.address == PING
                if not is_ping:
                    self.requests.append(request)
                for reply in (
                    [encode(f"{ROOT}/pong", *request.values["echo"])]
                    if is_ping
                    else self.answer(request)
                ):
                    self.socket.sendto(reply, source)

    def requests_of(self, name):
        return [request for request in self.requests if request.address == f"{ROOT}/{name}"]

    def close(self):
        self.is_open = False
        self.thread.join()
        self.socket.close()


def ack_reply(id):
    return encode(f"{ROOT}/ack", id, "job", 0, -1.0)


def result_reply(id, index=0):
    return encode(
        f"{ROOT}/result", id, index, "violin", f"/takes/{index}.wav", 48_000, 2, 480, 0.0, 0.0
    )


def end_reply(id, results=1, serial=5):
    return encode(f"{ROOT}/done", EDIT, id, serial, results, 3, "/takes/manifest.json", 1.5)
