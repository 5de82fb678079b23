"""Names that lead out of the allowed folders, over OSC and HTTP: each gets its code, and a cure."""

import asyncio
import os
import shutil
import socket

import pytest

from osc_protocol import encode
from server.files.sandbox import Sandbox
from tests.server.clients import write_wav

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX file kinds")

NAMES = {
    "parents": ("../secret.wav", "path_denied", "--root"),
    "parents in the middle": ("song/../../secret.wav", "path_denied", "--root"),
    "absolute": ("/etc/hostname", "path_denied", "--root"),
    "a URL": ("file:///etc/hostname", "path_denied", "--root"),
    "another machine": ("file://elsewhere/a.wav", "path_denied", "upload"),
    "no URL": ("file://[", "path_denied", "plain path"),
    "a volume of a Mac": ("Macintosh HD:/etc/hostname", "path_denied", "--root"),
    "UNC": ("\\\\host\\share\\a.wav", "path_denied", "mount"),
    "UNC with slashes": ("//host/share/a.wav", "path_denied", "mount"),
    "Windows": ("C:/Users/me/a.wav", "no_file", "upload"),
    "a link out": ("link.wav", "path_denied", "--root"),
    "a link": ("inner.wav", "path_denied", "the file itself"),
    "a folder that is a link": ("up/secret.wav", "path_denied", "--root"),
    "a pipe": ("pipe.wav", "path_denied", "regular file"),
    "a socket": ("socket.wav", "path_denied", "regular file"),
    "a device": ("/dev/zero", "path_denied", "--root"),
    "a folder": ("song", "path_denied", "regular file"),
    "long": ("x" * 300 + ".wav", "no_file", "looked for"),
    "nothing": ("none.wav", "no_file", "looked for"),
}


@pytest.fixture
def folder(audio):
    folder = audio.parent
    (folder / "song").mkdir()
    write_wav(folder.parent / "secret.wav")
    (folder / "link.wav").symlink_to(folder.parent / "secret.wav")
    (folder / "inner.wav").symlink_to(audio)
    (folder / "up").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # names of sockets may have a hundred bytes only
        listener.bind("socket.wav")
        os.chdir(here)
        yield folder


async def test_over_osc(connect, folder):
    client = await connect("tcp")
    for number, (name, (text, code, cure)) in enumerate(NAMES.items(), 1):
        for verb, words in (("edit", ("copy",)), ("region", ()), ("audio/get", ())):
            identity = f"{verb} {number}"
            client.say(verb, identity, text, *words)
            fail = await client.expect("fail", id=identity)
            assert (fail["code"], cure in fail["message"]) == (code, True), (name, verb, fail)


async def test_over_http(http, folder):
    for name, (text, code, cure) in NAMES.items():
        async with http.get("/retimbre/audio/file", params={"path": text}) as answer:
            (fail,) = (await answer.json())["replies"]
        async with http.post(
            "/retimbre/edit", json={"id": name, "audio": text, "text": "copy"}
        ) as answer:
            (edit,) = (await answer.json())["replies"]
        for each in (fail, edit):
            assert (each["code"], cure in each["message"]) == (code, True), (name, each)


async def test_nul_very_long_and_not_utf8(http, connect, folder):
    for text, codes in (
        ("a\0.wav", ("bad_args", "path_denied")),
        ("x" * 70_000, ("bad_args", "path_denied")),
    ):
        async with http.post(
            "/retimbre/edit", json={"id": "1", "audio": text, "text": "copy"}
        ) as answer:
            assert (await answer.json())["replies"][0]["code"] in codes
    client = await connect()
    client.send(encode("/retimbre/edit", "2", "caf?.wav", "copy").replace(b"?", b"\xe9"))
    assert "not UTF-8" in (await client.expect("log", level=2))["text"]
    assert (await client.expect("fail", id="2"))["code"] == "no_file"
    async with http.get("/retimbre/audio/file?path=caf%E9.wav") as answer:
        assert (await answer.json())["replies"][0]["code"] == "no_file"


async def test_a_file_that_is_still_written_is_told_as_such(connect, folder, audio):
    half = folder / "half.wav"
    half.write_bytes(audio.read_bytes()[:1000])
    client = await connect()
    client.say("edit", "1", "half.wav", "copy")
    fail = await client.expect("fail", id="1")
    assert fail["code"] == "bad_audio" and "still being written" in fail["message"]


# ------------------------------------------------------------------------------------ swapped after
# they were checked


def swap(folder, name):
    """`folder` becomes a link to a folder with a file of the same name, size and date."""
    outside = folder.parent / f"outside {name}"
    shutil.copytree(folder, outside)
    (outside / name).write_bytes(b"secret" + (folder / name).read_bytes()[6:])
    shutil.copystat(folder / name, outside / name)
    shutil.move(folder, folder.parent / "away")
    folder.symlink_to(outside)


@pytest.fixture
def take(folder, audio):
    """A file in a folder of its own under the root."""
    (folder / "take").mkdir()
    return shutil.copy2(audio, folder / "take" / "a.wav")


async def test_a_folder_that_is_swapped_while_a_job_waits_costs_that_job(connect, take, audio):
    client = await connect()
    client.say("edit", "1", str(audio), "slow 60")
    await client.expect("progress", id="1", stage="generating")
    client.say("edit", "2", str(take), "copy")
    await client.expect("progress", id="2", stage="queued")
    swap(take.parent, "a.wav")
    fail = await client.expect("fail", id="2")
    assert fail["code"] == "path_denied" and "symbolic link" in fail["message"]


@pytest.mark.parametrize("verb", ["edit", "region", "audio/get", "http"])
async def test_a_folder_that_is_swapped_between_check_and_open_is_refused(
    verb, connect, http, take, monkeypatch
):
    check = Sandbox.audio_file

    def swap_after_check(sandbox, text):
        found = check(sandbox, text)
        swap(take.parent, "a.wav")
        return found

    monkeypatch.setattr(Sandbox, "audio_file", swap_after_check)
    if verb == "http":
        async with http.get("/retimbre/audio/file", params={"path": str(take)}) as answer:
            assert (await answer.json())["replies"][0]["code"] == "path_denied"
        return
    client = await connect("tcp")
    client.say(verb, "1", str(take), *(("copy",) if verb == "edit" else ()))
    assert (await client.expect("fail", id="1"))["code"] == "path_denied"


async def test_a_swap_while_the_file_is_sent_changes_nothing(http, take):
    whole = take.read_bytes()
    async with http.get("/retimbre/audio/file", params={"path": str(take)}) as answer:
        swap(take.parent, "a.wav")
        assert await answer.read() == whole
    await asyncio.sleep(0)
