"""`retimbre doctor --bundle`: all that a bug report needs, and none of what its owner would not
show.
"""

import asyncio
import dataclasses
import json
import logging
import zipfile
from pathlib import Path

import pytest

from server import logs
from server.app import Server
from server.cli.doctor import bundle
from server.cli.doctor.bundle import Shortener, frames, without_private
from server.cli.main import main
from tests.server.clients import UdpClient, executor, write_wav

SECRETS = ("planted-password", "planted-prompt", "planted-client", "planted-id", "planted-file")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of our own, with everything in it."""
    folder = tmp_path / "home" / "planted-person"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(Path, "home", lambda: folder)
    monkeypatch.setattr("getpass.getuser", lambda: "planted-person")
    return folder


@pytest.fixture
def options(home, config):
    (home / "password").write_text("planted-password\n")
    return dataclasses.replace(
        config,
        data_dir=str(home / "data"),
        root=(str(home / "music"),),
        password_file=str(home / "password"),
    )


async def live(options):
    """A server's short life in which every secret comes by, some of them in mistakes."""
    region = Path(options.root[0]) / "planted-file.wav"
    region.parent.mkdir()
    write_wav(region)
    with logs.write_logs(options.paths().log_lines, "error", "text", 1):
        async with Server(options, executor()) as server:
            client = await UdpClient.open(server.port)
            client.say("notify", 1, 0, "planted-client")
            client.say("dump", 2)
            client.say("auth", "planted-password")
            client.say("edit", "planted-id", str(region), "copy planted-prompt")
            await client.expect("done", id="planted-id", command="/retimbre/edit")
            client.say("edit", "planted-id-2", str(region), "die planted-prompt")
            await client.expect("fail", id="planted-id-2")
            client.say("edit", 3, "planted-file.wav", "x", preset="planted-prompt")
            await client.expect("fail", id=3)
            client.close()
        try:
            raise ValueError("planted-prompt")
        except ValueError:
            logging.getLogger("server.verbs.table").exception("a request failed")
        logging.getLogger("asyncio").error("planted-client did it")


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def flags(options):
    return [
        f"--data-dir={options.data_dir}",
        f"--root={options.root[0]}",
        f"--password-file={options.password_file}",
    ]


def test_the_bundle_has_every_part_and_no_secret(options, tmp_path, capsys):
    asyncio.run(live(options))
    assert main(["doctor", "--bundle", str(tmp_path / "report.zip"), *flags(options)]) == 0
    assert "Look through it" in capsys.readouterr().out
    parts = contents(tmp_path / "report.zip")
    assert sorted(parts) == sorted([*bundle.PARTS, "about.txt"])
    for name, text in parts.items():
        for secret in (*SECRETS, "planted-person", str(tmp_path / "home")):
            assert secret not in text, (name, secret)
        assert not text.startswith("not found"), (name, text)
    journal = json.loads(parts["journal.json"])
    assert journal["states"] == {"done": 1, "failed": 1} and journal["failures"] == {
        "": 1,
        "engine_died": 1,
    }
    lines = [json.loads(line) for line in parts["log.jsonl"].splitlines()]
    assert {"job done", "the engine worker has ended"} <= {line.get("what") for line in lines}
    assert any(
        "test_bundle.py" in line.get("trace", "") and line["trace"].endswith("ValueError")
        for line in lines
    )
    assert json.loads(parts["options.json"])["password_file"]["value"] == "(set)"
    assert json.loads(parts["versions.json"])["packages"]["numpy"]
    assert {row["subject"] for row in json.loads(parts["doctor.json"])} >= {
        "python",
        "ports",
        "styles",
    }


def test_texts_are_in_it_when_asked_for_but_never_the_password(options, tmp_path):
    asyncio.run(live(options))
    assert (
        main(["doctor", "--bundle", str(tmp_path / "report.zip"), "--with-texts", *flags(options)])
        == 0
    )
    parts = contents(tmp_path / "report.zip")
    assert "planted-client" in parts["log.jsonl"] and "planted-prompt" in parts["log.jsonl"]
    assert not any("planted-password" in text for text in parts.values())


async def test_of_a_running_server_it_has_status_and_metrics(config, tmp_path, monkeypatch):
    config = dataclasses.replace(config, http_port=23022)
    async with Server(config, executor()) as server:
        await server.ready.wait()
        names = await asyncio.to_thread(bundle.write, tmp_path / "report.zip", config)
    parts = contents(tmp_path / "report.zip")
    assert names == sorted(parts)
    assert json.loads(parts["status.json"])["status"]["state"] == "ready"
    assert "retimbre_journal_jobs" in parts["metrics.txt"] and "holds it" in parts["journal.json"]


def test_a_file_that_is_there_is_not_overwritten(config, tmp_path, capsys):
    (tmp_path / "report.zip").write_text("mine")
    assert main(["doctor", "--bundle", str(tmp_path / "report.zip"), f"--data-dir={tmp_path}"]) == 1
    assert "write_failed" in capsys.readouterr().err
    assert (tmp_path / "report.zip").read_text() == "mine"


def test_a_part_that_cannot_be_made_says_so_and_the_others_are_there(config, tmp_path, monkeypatch):
    Path(config.data_dir).mkdir()
    config.paths().journal.write_bytes(
        b"this is not a database, and long enough to be looked at" * 100
    )
    bundle.write(tmp_path / "report.zip", config)
    parts = contents(tmp_path / "report.zip")
    assert parts["journal.json"].startswith("not found: DatabaseError") and parts[
        "versions.json"
    ].startswith("{")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/home/ann/music/a.wav", "~/music/a.wav"),
        ("/media/ann/disk and /media/anna/disk", "/media/user/disk and /media/anna/disk"),
        ("nothing of hers", "nothing of hers"),
        ('{"root": "/home/ann"}', '{"root": "~"}'),
    ],
)
def test_paths_lose_the_owner(text, short):
    assert Shortener("/home/ann", "ann")(text) == short


def test_a_windows_home_is_found_inside_json_too():
    assert Shortener("C:\\Users\\ann", "ann")(json.dumps("C:\\Users\\ann\\x")) == '"~\\\\x"'


def test_frames_keep_the_places_and_the_kind_of_error():
    text = (
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in f\n    x("secret")\nmod.OddError: secret'
    )
    assert frames(text).splitlines() == [
        "Traceback (most recent call last):",
        '  File "a.py", line 3, in f',
        "mod.OddError",
    ]


def test_a_librarys_sentence_is_left_out():
    line = {"level": "error", "from": "aiohttp.server", "what": "from 10.0.0.7", "peer": "x"}
    assert without_private(line) == {"level": "error", "from": "aiohttp.server"}
