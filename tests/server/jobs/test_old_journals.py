"""A journal that an earlier server wrote is read, resumed, and written on in the same form."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from server.app import Server
from server.jobs.journal import Journal
from server.jobs.spec import JobSpec
from tests.server.clients import UdpClient, executor, write_wav

DUMP = Path(__file__).with_name("journal_of_version_2.sql")


@pytest.fixture
def old_journal(config, audio):
    """The dumped journal, where the server of `config` finds it; its regions lie beside `audio`."""
    paths = config.paths().create()
    write_wav(audio.parent / "a.wav")
    script = DUMP.read_text().replace("@MUSIC@", str(audio.parent))
    with sqlite3.connect(paths.journal) as db:
        db.executescript(script.replace("@DATA@", str(paths.data)))
        # As if it had just been written: a waiting job has a deadline.
        (newest,) = db.execute("select max(created) from jobs").fetchone()
        db.execute("update jobs set created = created + ?", (time.time() - newest,))
    db.close()
    return paths.journal


def read_specs(path):
    with sqlite3.connect(path) as db:
        rows = dict(db.execute("select job, spec from jobs").fetchall())
    db.close()
    return rows


def test_a_stored_spec_is_written_again_with_the_same_keys_and_values(old_journal):
    for text in read_specs(old_journal).values():
        stored = json.loads(text)
        written = JobSpec.from_json(stored).to_json()
        assert written == stored and list(written) == list(stored)


def test_what_an_old_journal_remembers_is_read_into_its_fields(old_journal, audio):
    journal = Journal(old_journal)
    (take, end), *_ = journal.takes("here/patch", "", 10)
    spec = take.spec
    assert (spec.preset.name, spec.takes, spec.seed, spec.beats_start) == ("harp", 2, 7, 4.0)
    assert spec.options == {"steps": 3, "strength": 0.5, "format": "flac", "tempo": 120.0}
    assert (spec.output_folder, end.results) == (str(audio.parent), 2)
    assert [record.state for record in journal.list_unfinished()] == ["running", "queued", "queued"]
    assert journal.list_unfinished()[1].spec.priority == 1
    journal.close()


async def test_a_server_resumes_what_waited_and_fails_what_ran(config, old_journal):
    before = read_specs(old_journal)
    async with Server(config, executor()) as server:
        client = await UdpClient.open(server.port)
        client.say("notify", 1, 0, "patch")
        for identity in (3, "four"):
            client.say("job/query", identity)
            assert (await client.expect("done", id=identity))["results"] == 1
        client.say("job/query", 2)
        assert (await client.expect("fail", id=2))["code"] == "interrupted"
        client.say("job/query", 1)
        assert (await client.expect("done", id=1, command="/retimbre/edit"))["serial"] == 1
        client.close()
    for job, text in read_specs(old_journal).items():
        assert drop_identity(text) == drop_identity(before[job])


def drop_identity(text):
    """A spec without what is another for the file of this test."""
    spec = json.loads(text)
    return {**spec, "audio": spec["audio"]["path"]}
