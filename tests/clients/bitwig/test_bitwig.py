"""The bridge to DrivenByMoss: liblo reads its bytes; the whole way on a double and a server."""

import contextlib
import select
import subprocess
from pathlib import Path

import pytest
import soundfile

from tests.clients.studio import FRAMES, Listener, find_program, free_port, load_script

bridge = load_script(Path(__file__).parents[3] / "clients" / "bitwig" / "retimbre_bitwig.py")


class DrivenByMoss:
    """Sends what it shows after /refresh, and takes files into slots."""

    def __init__(self, takes_files=True):
        self.slots, self.takes_files, self.send_port = {}, takes_files, free_port()
        self.listener = Listener(self.hear)

    def hear(self, message):
        if message.address == "/refresh":
            self.listener.send(self.send_port, "/update", 1)
            self.listener.send(self.send_port, "/tempo/raw", 98.5)
            for slot in self.slots:
                self.listener.send(self.send_port, f"{slot}/hasContent", 1)
            self.listener.send(self.send_port, "/update", 0)
        elif message.address.endswith("/insertFile") and self.takes_files:
            self.slots[message.address.removesuffix("/insertFile")] = message.params[0]


@pytest.fixture
def bitwig():
    double = DrivenByMoss()
    yield double
    double.listener.close()


@pytest.fixture
def run(bitwig, media, server_port):
    def run(text, track=2, clip=1, audio=None):
        return bridge.main(
            [
                str(audio or media / "region.wav"),
                text,
                f"--track={track}",
                f"--clip={clip}",
                "--seed=5",
                f"--port={server_port}",
                f"--bitwig-port={bitwig.listener.port}",
                f"--listen-port={bitwig.send_port}",
            ]
        )

    return run


def test_the_stem_is_loaded_into_the_slot(run, bitwig, capsys):
    assert run("copy into a violin") == 0
    path = Path(bitwig.slots["/track/2/clip/1"])
    assert path.name == "region-copy-into-a-violin-5.wav" and soundfile.info(path).frames == FRAMES
    assert capsys.readouterr().out.strip() == str(path)


def test_another_osc_library_reads_the_same_message(tmp_path):
    port = free_port()
    dump = subprocess.Popen(
        [find_program("oscdump", "liblo-tools"), "-L", str(port)], stdout=subprocess.PIPE, text=True
    )
    file = tmp_path / "a stem é.wav"
    with contextlib.closing(dump.stdout), bridge.Bitwig(port, free_port()) as bitwig:
        while not select.select([dump.stdout], [], [], 0.05)[0]:  # it does not say when it listens
            bitwig.send(bridge.insert_file(3, 4, file))
        line = dump.stdout.readline()
        dump.terminate()
        dump.wait()
    assert line.split(" ", 1)[1].strip() == f'/track/3/clip/4/insertFile s "{file}"'


def test_a_slot_beyond_the_bank_is_refused_before_any_work(run, bitwig, capsys):
    assert run("copy", track=9) == 1
    assert "expected 1 to 8" in capsys.readouterr().err and not bitwig.listener.packets


def test_without_bitwig_it_says_what_to_add(run, bitwig, capsys, monkeypatch):
    monkeypatch.setattr(bitwig, "hear", lambda message: None)
    bitwig.listener._answer = bitwig.hear
    assert run("copy") == 1
    assert "Open Sound Control" in capsys.readouterr().err


def test_a_slot_that_stays_empty_is_reported_with_the_file(run, bitwig, capsys, monkeypatch):
    monkeypatch.setattr(bridge, "REFRESH_SECONDS", 0.2)
    bitwig.takes_files = False
    assert run("copy again") == 1
    assert "Drag it in" in capsys.readouterr().err


def test_a_failed_job_says_why(run, bitwig, capsys):
    assert run("fail out_of_memory") == 1
    assert "out_of_memory" in capsys.readouterr().err and not bitwig.slots
