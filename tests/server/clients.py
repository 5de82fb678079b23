"""Clients of the tests' own: real sockets, and the protocol's codec to read what comes."""

import asyncio
import random
import sys
import wave
from pathlib import Path

from osc_protocol import ROOT, StreamDecoder, decode_reply, encode, encode_frame
from server.compute.executor import Timeouts
from server.compute.local import LocalExecutor
from server.files.sandbox import AudioFile, FileIdentity
from server.jobs.spec import JobSpec

DOUBLE = [sys.executable, "-I", "-S", str(Path(__file__).with_name("worker_double.py"))]
PATIENCE_SECONDS = 10.0
ENDS = (f"{ROOT}/done", f"{ROOT}/fail")


def executor(*flags, **timeouts):
    """The real executor with the double worker."""
    return LocalExecutor([*DOUBLE, *flags], Timeouts(**timeouts))


def write_wav(path, frames=4800, channels=1, rate_hz=48000):
    """Noise of 16 bits, always the same."""
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(channels)
        audio.setsampwidth(2)
        audio.setframerate(rate_hz)
        audio.writeframes(random.Random(0).randbytes(2 * frames * channels))
    return path


def job_spec(audio="/a.wav", **values):
    """An edit of a file, which need not be there."""
    file = (
        AudioFile.at(audio) if Path(audio).exists() else AudioFile(audio, FileIdentity(1, 2, 3, 4))
    )
    return JobSpec(**{"audio": file, "text": "copy", "model": "nano", "seed": 1, **values})


class Client:
    """What came, in order, and a way to wait for more."""

    def __init__(self):
        self.messages = []
        self._news = asyncio.Event()

    def hear(self, packet):
        self.messages.append(decode_reply(packet))
        self._news.set()

    def say(self, name, *atoms, **keys):
        self.send(encode(f"{ROOT}/{name}", *atoms, **keys))

    async def expect(self, address, /, skip=0, patience=PATIENCE_SECONDS, **wanted):
        """The first message with that name and those values, after `skip` of its kind."""
        found = await self._wait_for(
            lambda: self.all(address, **wanted)[skip:], f"{address} {wanted}", patience
        )
        return found.values

    async def end(self, identity, patience=PATIENCE_SECONDS):
        """The message that ends a job, whichever it is."""
        return await self._wait_for(lambda: self.ends(identity), f"end of {identity}", patience)

    async def _wait_for(self, found, what, patience):
        async def first():
            while not found():
                self._news.clear()
                await self._news.wait()
            return found()[0]

        try:
            return await asyncio.wait_for(first(), patience)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {what}; came {self.messages}") from None

    def all(self, address, /, **wanted):
        return [
            message
            for message in self.messages
            if message.address == f"{ROOT}/{address}"
            and all(message.values.get(key) == value for key, value in wanted.items())
        ]

    def ends(self, identity):
        return [
            message
            for message in self.messages
            if message.address in ENDS
            and message.values["id"] == identity
            and "serial" in message.values
        ]


class UdpClient(Client, asyncio.DatagramProtocol):
    @classmethod
    async def open(cls, port, listen=0):
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(
            cls, local_addr=("127.0.0.1", listen)
        )
        client.transport, client.server = transport, ("127.0.0.1", port)
        return client

    @property
    def port(self):
        return self.transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, address):
        self.hear(data)

    def send(self, packet):
        self.transport.sendto(packet, self.server)

    def close(self):
        self.transport.close()


class TcpClient(Client):
    framing = "int32"

    @classmethod
    async def open(cls, port, framing="int32"):
        client = cls()
        client.framing, client.is_closed = framing, asyncio.Event()
        client.reader, client.writer = await asyncio.open_connection("127.0.0.1", port)
        client.task = asyncio.create_task(client.listen())
        return client

    async def listen(self):
        decoder = StreamDecoder()
        while data := await self.reader.read(2**16):
            for packet in decoder.feed(data):
                self.hear(packet)
        self.is_closed.set()

    def send(self, packet):
        self.writer.write(encode_frame(packet, self.framing))

    def close(self):
        self.writer.close()
