"""A sound card that is a program: JACK with its dummy driver, which keeps its own time."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

RATE = 48000
DEVICE = "system, JACK"  # as PortAudio calls it
METRONOME = Path(__file__).with_name("metronome.py")
START_SECONDS = 30.0
POLL_SECONDS = 0.05
STATUS_SECONDS = 60.0  # bars must be heard before they can be captured


class Jack:
    """One JACK server, and its cables."""

    def __init__(self, name, *flags):
        self.environment = {
            **os.environ,
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
        }
        self.process = subprocess.Popen(
            [
                "jackd",
                "--name",
                name,
                "--no-realtime",
                *flags,
                "-d",
                "dummy",
                "-r",
                str(RATE),
                "-p",
                "256",
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ports(self):
        return self.run("jack_lsp").stdout.split()

    def run(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def connect(self, source, target):
        done = self.run("jack_connect", source, target)
        assert done.returncode == 0, done.stdout + done.stderr

    def disconnect(self, source, target):
        self.run("jack_disconnect", source, target)

    def stop(self):
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def jack_server(name, *flags):
    jack = Jack(name, *flags)
    try:
        ends_at = time.monotonic() + START_SECONDS
        while "system:playback_1" not in jack.ports():
            assert time.monotonic() < ends_at and jack.process.poll() is None, (
                "jackd does not start"
            )
            time.sleep(0.05)
        yield jack
    finally:
        jack.stop()


@pytest.fixture(scope="session")
def can_jack():
    """Skips where JACK, or a PortAudio that knows it, is missing."""
    missing = [
        program
        for program in ("jackd", "jack_lsp", "jack_connect")
        if shutil.which(program) is None
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} are not installed")
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def shared_jack(can_jack):
    # -S: the driver waits for its clients, so a busy machine makes it slow and not faulty
    with jack_server(f"retimbre-{os.getpid()}", "-S") as jack:
        yield jack


@pytest.fixture
def own_jack(can_jack):
    """A server for a test that harms it. It does not wait for its clients: they die."""
    with jack_server(f"retimbre-{os.getpid()}-harmed") as jack:
        yield jack


@pytest.fixture
def jack(request, monkeypatch):
    """The JACK server that our processes find: the test's own where it has one."""
    jack = request.getfixturevalue(
        "own_jack" if "own_jack" in request.fixturenames else "shared_jack"
    )
    for name, value in jack.environment.items():
        monkeypatch.setenv(name, value)
    return jack


@pytest.fixture
def metronome(jack):
    """A DAW: clicks at 400 bpm, the first of a bar louder. Gives the name of its output."""
    before = set(jack.ports())
    with subprocess.Popen(
        [sys.executable, METRONOME, DEVICE, str(RATE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "plays\n"
        yield next(port for port in set(jack.ports()) - before if port.endswith("out_0"))
        process.stdin.close()


class Studio:
    """A client that runs live audio, with the cables in its hands."""

    def __init__(self, client, server, jack):
        self.client, self.server, self.jack = client, server, jack

    async def start(self, *devices, **keys):
        """Begin, with neither input nor output connected to anything. Returns what /done says."""
        before = set(self.jack.ports())
        self.client.say("live/start", *(devices or (DEVICE, DEVICE)), **keys)
        opened = await self.client.expect(
            "done", command="/retimbre/live/start", patience=STATUS_SECONDS
        )
        new = sorted(set(self.jack.ports()) - before)
        self.inputs = [port for port in new if ":in_" in port]
        self.outputs = [port for port in new if ":out_" in port]
        for at, port in enumerate(self.inputs):
            self.jack.disconnect(f"system:capture_{at + 1}", port)
        return opened

    def loop(self):
        """A cable from output to input, as a loopback device is one."""
        for source, target in zip(self.outputs, self.inputs, strict=True):
            self.jack.connect(source, target)

    async def status(self, until=lambda status: True):
        """/live/status, again and again until it is as wanted."""
        ends_at = time.monotonic() + STATUS_SECONDS
        while True:
            seen = len(self.client.all("live/status.reply"))
            self.client.say("live/status")
            status = await self.client.expect("live/status.reply", skip=seen)
            if until(status):
                return status
            assert time.monotonic() < ends_at, status
            await asyncio.sleep(POLL_SECONDS)

    async def measure(self):
        self.client.say("live/measure")
        return await self.client.expect(
            "done", command="/retimbre/live/measure", patience=STATUS_SECONDS
        )


@pytest.fixture
async def studio(jack, server, connect):
    client = await connect("tcp")
    client.say("notify", 1)
    await client.expect("state")
    return Studio(client, server, jack)
