"""liblo's tools: oscsend sends each message from a new port, oscdump hears the answers."""

import functools
import shlex
import subprocess
import threading
import time

import pytest

from engine.families.nano import family as nano
from tests.peers.servers import nano_command, running

PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth


class Dump:
    """A running oscdump: its lines, as (address, types, words)."""

    def __init__(self, command, port):
        # -L: a line at a time, although nobody looks at a terminal
        self.process = subprocess.Popen(
            [command, "-L", str(port)], stdout=subprocess.PIPE, text=True
        )
        self.messages = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            _, address, *types_and_words = shlex.split(line)  # the first word is the time
            types, words = "".join(types_and_words[:1]), types_and_words[1:]
            with self._news:
                self.messages.append((address, types, words))
                self._news.notify_all()

    def all(self, address, *first):
        return [
            words
            for name, _, words in self.messages
            if name == address and words[: len(first)] == list(first)
        ]

    def expect(self, address, *first, count=1):
        """The words of the last of `count` messages of that name that begin with `first`."""
        with self._news:
            is_there = self._news.wait_for(
                lambda: len(self.all(address, *first)) >= count, PATIENCE_SECONDS
            )
            assert is_there, self.messages
            return self.all(address, *first)[count - 1]

    def close(self):
        self.process.terminate()
        self._reader.join()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture
def oscsend(program):
    """oscsend(port, address, types, *values), with types as the program wants them."""
    path = program("oscsend")

    def oscsend(port, address, types="", *values):
        subprocess.run(
            [path, "127.0.0.1", str(port), address, types, *map(str, values)],
            check=True,
            timeout=PATIENCE_SECONDS,
        )

    return oscsend


@pytest.fixture
def dump(program, oscsend, listen_port):
    dump = Dump(program("oscdump"), listen_port)
    try:
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while not dump.all("/hello"):  # it does not say when it listens
            assert dump.process.poll() is None and time.monotonic() < ends_at
            oscsend(listen_port, "/hello")
            time.sleep(0.05)
        yield dump
    finally:
        dump.close()


@pytest.fixture
def send(oscsend, dump, listen_port, server_port):
    """oscsend to the running server.

    The dump hears of all clients' jobs: each oscsend is another client, and deaf.
    """
    oscsend(server_port, "/retimbre/notify", "iis", 2, listen_port, "oscdump")
    dump.expect("/retimbre/done", "/retimbre/notify")
    return functools.partial(oscsend, server_port)


def test_a_region_goes_out_and_its_stem_comes_back(dump, send, region, check_stem):
    send("/retimbre/edit", "isssisi", 7, region, "turn this into a violin", "steps", 2, "seed", 3)
    job = dump.expect("/retimbre/ack", "7")[1]
    done = dump.expect("/retimbre/done", "/retimbre/edit", "7")
    identity, index, stem, path, rate_hz, channels, frames, *_ = dump.expect(
        "/retimbre/result", "7", "0"
    )
    assert job and stem
    assert (int(rate_hz), int(channels), int(frames)) == (44_100, 2, 30_870)
    assert [int(word) for word in done[3:5]] == [1, 3]  # results, seed
    check_stem(path)


def test_an_end_that_nobody_got_comes_again_and_is_the_same(dump, send, region):
    send("/retimbre/edit", "sss", "unheard", region, "a flute")
    first = dump.expect("/retimbre/done", "/retimbre/edit", "unheard")
    assert dump.expect("/retimbre/done", "/retimbre/edit", "unheard", count=2) == first


def test_the_jobs_own_name_stops_the_repeats_from_any_port(dump, send, region):
    send("/retimbre/edit", "sss", "heard", region, "a flute")
    job = dump.expect("/retimbre/ack", "heard")[1]
    dump.expect("/retimbre/done", "/retimbre/edit", "heard")
    send("/retimbre/got", "s", job)
    before = len(dump.all("/retimbre/done", "/retimbre/edit", "heard"))
    time.sleep(1.2)  # two repeats long
    # one may have been on its way
    assert len(dump.all("/retimbre/done", "/retimbre/edit", "heard")) <= before + 1


def test_every_number_arrives_with_the_type_that_the_table_promises(dump, send, region):
    send("/retimbre/edit", "iss", 9, region, "a flute")
    dump.expect("/retimbre/done", "/retimbre/edit", "9")
    types = {address: types for address, types, words in dump.messages}
    assert types["/retimbre/ack"] == "isif"
    assert types["/retimbre/result"] == "iissiiiff"
    assert types["/retimbre/done"] == "siiiisf"


def test_a_reply_port_of_the_server_serves_those_who_never_register(
    oscsend, dump, listen_port, region, tmp_path
):
    # refused before a model is needed
    command = nano_command(tmp_path, region.parent, f"--reply-port={listen_port}")
    with running(command, tmp_path) as port:
        oscsend(port, "/retimbre/edit", "iss", 8, region.with_name("nowhere.wav"), "a flute")
        assert dump.expect("/retimbre/fail", "/retimbre/edit", "8")[2] == "no_file"


@pytest.mark.skipif(bool(nano.missing()), reason="the shipped weights are not here")
def test_parts_that_are_added_come_back_as_a_stem_each(
    oscsend, dump, listen_port, region, check_stem, tmp_path
):
    command = nano_command(tmp_path, region.parent, f"--reply-port={listen_port}")
    with running(command, tmp_path) as port:
        oscsend(
            port,
            "/retimbre/edit",
            "isssi",
            10,
            region,
            "add a bass line and brushed drums",
            "steps",
            2,
        )
        done = dump.expect("/retimbre/done", "/retimbre/edit", "10")
        assert int(done[3]) == 2  # results
        for index, name in enumerate(("bass", "drums")):
            _, _, stem, path, *_ = dump.expect("/retimbre/result", "10", str(index))
            assert stem == name
            check_stem(path)
