"""The command line against a running server: real sockets, real files; only the model is a double,
where it says so.
"""

import asyncio
import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from retimbre_client import Client

from server.app import Server
from server.cli.main import main
from server.config import ServeConfig
from server.paths import Paths, ServerAddress, read_port_file, write_port_file
from tests.server.clients import executor, write_wav


@pytest.fixture
def double(config):
    """A server in a thread of its own, with the double worker; the command line finds it by its
    port file.
    """
    is_ready, stop = threading.Event(), asyncio.Event()
    found = {}

    async def serve():
        async with Server(config, executor()) as server:
            await server.ready.wait()
            found.update(loop=asyncio.get_running_loop(), server=server)
            is_ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_ready.wait(20)
    yield found["server"]
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(20)


def edit(config, source, *words):
    return main(["edit", str(source), *words, "--data-dir", config.data_dir])


def test_edit_leaves_the_stem_where_it_was_asked_to(double, config, audio, tmp_path, capsys):
    target = tmp_path / "stem.wav"
    assert edit(config, audio, "copy", "-o", str(target), "--seed", "5") == 0
    assert target.read_bytes() == audio.read_bytes()
    assert "seed 5" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("*stem*")) == ["stem.wav"]


def test_json_prints_the_manifest_and_nothing_else(double, config, audio, tmp_path, capsys):
    assert (
        edit(
            config, audio, "copy", "-o", str(tmp_path / "s.wav"), "--json", "--set", "strength=0.5"
        )
        == 0
    )
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["edit"]["knobs"]["strength"] == 0.5


def test_the_default_output_lies_beside_the_input(double, config, audio):
    assert edit(config, audio, "copy", "--quiet") == 0
    assert (audio.parent / "region-edited.wav").is_file()


def test_several_takes_are_numbered(double, config, audio, tmp_path):
    assert edit(config, audio, "copy", "-o", str(tmp_path / "s.wav"), "--takes", "2") == 0
    assert (tmp_path / "s.wav").is_file() and (tmp_path / "s-2.wav").is_file()


def test_a_failed_job_is_exit_code_1_and_writes_nothing(double, config, audio, tmp_path, capsys):
    target = tmp_path / "s.wav"
    assert edit(config, audio, "fail out_of_memory", "-o", str(target)) == 1
    assert "out_of_memory: as you wished" in capsys.readouterr().err
    assert not target.exists()


def test_an_unknown_preset_is_the_servers_own_words(double, config, audio, tmp_path, capsys):
    assert (
        edit(config, audio, "copy", "-o", str(tmp_path / "s.wav"), "--preset", "church_orgn") == 1
    )
    assert "church_organ" in capsys.readouterr().err


def test_a_file_outside_the_roots_is_sent_over_tcp(double, config, tmp_path, capsys):
    source = write_wav(tmp_path / "elsewhere.wav", frames=200_000)
    assert edit(config, source, "copy", "-o", str(tmp_path / "s.wav")) == 0
    assert (tmp_path / "s.wav").read_bytes() == source.read_bytes()
    assert "over TCP" in capsys.readouterr().err


def test_force_writes_over(double, config, audio, tmp_path):
    (tmp_path / "s.wav").write_text("old")
    assert edit(config, audio, "copy", "-o", str(tmp_path / "s.wav"), "--force") == 0
    assert (tmp_path / "s.wav").read_bytes() == audio.read_bytes()


def test_tcp_serves_as_well(double, config, audio, tmp_path):
    assert edit(config, audio, "copy", "-o", str(tmp_path / "s.wav"), "--transport", "tcp") == 0


def test_a_stem_can_be_fetched_without_a_common_disk(double, config, audio):
    for transport in ("udp", "tcp"):
        with Client(
            port=double.port, transport=transport, audio_transport=transport, shares_disk=False
        ) as client:
            assert client.read(client.edit(audio, "copy").stems[0].path) == audio.read_bytes()


def test_ctrl_c_cancels_the_job(double, config, audio, tmp_path):
    words = [
        "edit",
        str(audio),
        "slow 4000",
        "-o",
        str(tmp_path / "s.wav"),
        "--data-dir",
        config.data_dir,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *words], stderr=subprocess.PIPE, text=True
    )
    while "generating" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    ends_at = time.monotonic() + 30  # the job would take 200 s: only the cancel can have ended it
    while double.services.dispatcher.running and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not double.services.dispatcher.running
    assert not (tmp_path / "s.wav").exists()


def test_status_shows_the_running_server(double, config, capsys):
    assert main(["status", "--data-dir", config.data_dir]) == 0
    shown = capsys.readouterr().out
    assert f"127.0.0.1:{double.port}" in shown and "nano (loaded)" in shown and "double" in shown


def test_status_as_json(double, config, capsys):
    assert main(["status", "--json", "--data-dir", config.data_dir]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ready"


def test_doctor_sees_the_running_server(double, config, capsys):
    main(["doctor", "--data-dir", config.data_dir])
    assert f"a retimbre server runs on 127.0.0.1 port {double.port}" in capsys.readouterr().out


def test_demo_leaves_region_stem_manifest_and_picture(double, config, tmp_path, capsys):
    folder = tmp_path / "demo"
    assert (
        main(["demo", "-o", str(folder), "--text", "copy, please", "--data-dir", config.data_dir])
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "before-and-after.png",
        "copy-please.json",
        "copy-please.wav",
        "region.wav",
    ]
    assert (folder / "copy-please.wav").read_bytes() == (folder / "region.wav").read_bytes()
    assert (
        "using the server that runs" in (shown := capsys.readouterr().out) and str(folder) in shown
    )


def serve(data_dir, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--port=0", f"--data-dir={data_dir}", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_serve_says_where_it_listens_and_stops_on_ctrl_c(tmp_path):
    process = serve(tmp_path)
    first = process.stdout.readline()
    assert f"port {read_port_file(Paths.under(tmp_path).port_file).port}, UDP and TCP" in first
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "stopping" in out) == (0, True), err
    assert read_port_file(Paths.under(tmp_path).port_file) is None


def test_a_second_server_on_the_same_data_folder_says_why_it_cannot(tmp_path):
    first = serve(tmp_path)
    first.stdout.readline()
    second = serve(tmp_path)
    _, err = second.communicate(timeout=30)
    assert second.returncode == 1
    assert err.startswith("retimbre serve: busy: ")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)


def test_a_server_that_was_started_by_a_program_ends_with_it(tmp_path):
    process = serve(tmp_path, "--stop-with-stdin")
    process.stdout.readline()
    process.communicate(timeout=30)  # closes its stdin
    assert process.returncode == 0


def test_a_port_file_left_behind_is_not_believed(config, tmp_path, capsys):
    paths = dataclasses.replace(config).paths().create()
    write_port_file(paths.port_file, ServerAddress("127.0.0.1", 1, 0, 1))
    assert main(["status", "--data-dir", config.data_dir]) == 1


def test_a_data_folder_that_cannot_be_made_is_named(audio, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert (
        main(
            [
                "edit",
                str(audio),
                "x",
                "-o",
                str(tmp_path / "s.wav"),
                "--data-dir",
                str(tmp_path / "file"),
            ]
        )
        == 1
    )
    assert "--data-dir DIR" in capsys.readouterr().err


def test_a_server_that_does_not_start_shows_its_last_words(audio, tmp_path, capsys):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "config.yaml").write_text("max_file_mb: 0\n")
    assert (
        main(["edit", str(audio), "x", "-o", str(tmp_path / "s.wav"), "--data-dir", str(data_dir)])
        == 1
    )
    assert (
        "its last words:\n" in (said := capsys.readouterr().err) and "max_file_mb: expected" in said
    )


def test_edit_starts_a_server_for_one_job_and_stops_it(audio, tmp_path, capsys):
    write_wav(audio, frames=24_000, channels=2)
    target, data_dir = tmp_path / "violin.wav", tmp_path / "data"
    assert (
        main(
            [
                "edit",
                str(audio),
                "a violin",
                "-o",
                str(target),
                "--steps",
                "1",
                "--json",
                "--data-dir",
                str(data_dir),
            ]
        )
        == 0
    )
    stem = json.loads(capsys.readouterr().out)["stems"][0]
    assert (stem["frames"], stem["channels"], stem["rate_hz"]) == (24_000, 2, 48_000)
    assert target.is_file()
    ends_at = time.monotonic() + 20
    while read_port_file(Paths.under(data_dir).port_file) and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert read_port_file(Paths.under(data_dir).port_file) is None


def test_demo_leaves_sound_manifests_and_a_picture(audio, tmp_path, capsys):
    write_wav(audio, frames=24_000)
    folder = tmp_path / "demo"
    assert (
        main(
            [
                "demo",
                "-o",
                str(folder),
                "--region",
                str(audio),
                "--text",
                "a violin",
                "--data-dir",
                str(tmp_path / "data"),
            ]
        )
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "a-violin.json",
        "a-violin.wav",
        "before-and-after.png",
        "region.wav",
    ]
    assert "started a server" in capsys.readouterr().out


def test_serve_config_has_no_option_that_nobody_reads():
    code = "\n".join(
        path.read_text() for path in Path("server").rglob("*.py") if path.name != "config.py"
    )
    unread = [
        each.name
        for each in dataclasses.fields(ServeConfig)
        if f".{each.name}" not in code
        and each.name not in ("password_file", "data_dir", "http_port")
    ]
    assert unread == []
