"""Files that somebody may still be writing."""

import os
import threading
import time

import pytest

from server.errors import RequestError
from server.files import settle
from server.files.settle import wait_until_settled
from server.threads import SerialExecutor
from tests.server.clients import write_wav


@pytest.fixture
def executor():
    executor = SerialExecutor("files")
    yield executor
    executor.close()


async def count_looks(path, executor):
    """How often it looked before it believed the file."""
    looks = []

    async def counting(function, *arguments):
        looks.append(function)
        return await executor(function, *arguments)

    await wait_until_settled(str(path), counting)
    return looks.count(settle._inspect)


async def test_a_settled_file_tells_its_size_and_header(tmp_path, executor):
    path = write_wav(tmp_path / "a.wav")
    file, header = await wait_until_settled(str(path), executor)
    assert header.frames == 4800 and file.identity.size_bytes == path.stat().st_size


async def test_a_file_that_was_closed_a_while_ago_is_not_waited_for(tmp_path, executor):
    path = write_wav(tmp_path / "a.wav")
    os.utime(path, (time.time() - 10,) * 2)
    assert await count_looks(path, executor) == 1


async def test_a_file_of_this_moment_is_watched_for_a_while(tmp_path, executor):
    assert await count_looks(write_wav(tmp_path / "a.wav"), executor) > 1


async def test_a_date_in_the_future_is_not_believed(tmp_path, executor):
    path = write_wav(tmp_path / "a.wav")
    os.utime(path, (time.time() + 1000,) * 2)
    assert await count_looks(path, executor) > 1


async def test_the_last_version_of_a_growing_file_counts(tmp_path, executor):
    path, whole = tmp_path / "a.wav", write_wav(tmp_path / "whole.wav").read_bytes()
    path.write_bytes(whole[:100])
    threading.Timer(0.25, path.write_bytes, [whole]).start()
    assert (await wait_until_settled(str(path), executor))[0].identity.size_bytes == len(whole)


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVE"])
async def test_a_file_that_never_settles_is_refused_after_a_while(
    tmp_path, executor, monkeypatch, content
):
    monkeypatch.setattr(settle, "TIMEOUT_SECONDS", 0.2)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(RequestError, match="being written|empty") as refusal:
        await wait_until_settled(str(tmp_path / "a.wav"), executor)
    assert refusal.value.code == "bad_audio"


async def test_a_file_that_disappears_is_no_file(tmp_path, executor):
    with pytest.raises(RequestError) as refusal:
        await wait_until_settled(str(tmp_path / "a.wav"), executor)
    assert refusal.value.code == "no_file"
