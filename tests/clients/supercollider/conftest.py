"""JACK without a sound card, scsynth on it, sclang with our classes, and a retimbre server."""

import contextlib
import subprocess

import numpy as np
import pytest
import soundfile

from tests.clients.studio import find_program
from tests.clients.supercollider.language import RATE_HZ, Language, environment
from tests.peers.servers import double_command, running

FRAMES = 30_871  # 0.7 s, and a prime: not a multiple of anything of the model's


@pytest.fixture(scope="session")
def language(tmp_path_factory):
    """sclang with a booted scsynth: `s`."""
    commands = [
        find_program(*each)
        for each in (
            ("sclang", "supercollider-language"),
            ("scsynth", "supercollider-server"),
            ("jackd", "jackd2"),
        )
    ]
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    variables = environment(home)
    jack = subprocess.Popen(
        [
            commands[2],
            "--name",
            variables["JACK_DEFAULT_SERVER"],
            "--no-realtime",
            "-d",
            "dummy",
            "-r",
            str(RATE_HZ),
        ],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with contextlib.closing(Language(commands[0], home)) as language:
            assert language.wait_for_scsynth() == "booted", language.console
            yield language
    finally:
        jack.terminate()
        jack.wait()


@pytest.fixture(scope="module")
def server_port(tmp_path_factory):
    """A server whose worker copies instead of computing; spaces in its paths, as on a Mac."""
    data_dir = tmp_path_factory.mktemp("Application Support")
    with running(double_command(data_dir, data_dir), data_dir) as port:
        yield port


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("a project")


@pytest.fixture(scope="session")
def tones(folder):
    """Two decaying tones in tones.wav: (frames, 2)."""
    seconds = np.arange(FRAMES) / RATE_HZ
    tones = np.stack(
        [np.sin(2 * np.pi * hz * seconds) * np.exp(-seconds) / 2 for hz in (440, 660)], axis=1
    )
    soundfile.write(folder / "tones.wav", tones.astype(np.float32), RATE_HZ, subtype="FLOAT")
    return tones.astype(np.float32)


@pytest.fixture
def sc(language, server_port, folder, tones):
    """Run code with `r`, a Retimbre, and `b`, a Buffer that holds the tones."""
    language.run(
        f'r = Retimbre(NetAddr("127.0.0.1", {server_port})); '
        f'b = Buffer.read(s, "{folder}/tones.wav"); s.sync'
    )
    yield language.run
    language.run("r.free; b.free; s.sync")


@pytest.fixture
def content(sc, folder):
    """content("job.stems[0]"): the samples of a Buffer, as scsynth has them: (frames, channels)."""

    def content(buffer):
        sc(f'{buffer}.write("{folder}/content.wav", "WAV", "float"); s.sync')
        return soundfile.read(folder / "content.wav", dtype="float32", always_2d=True)[0]

    return content
