"""A finished file gets a name that is free, on file systems with and without links."""

import os

import pytest

from engine.audio import publishing
from engine.audio.publishing import publish


@pytest.fixture(params=["with links", "without links"])
def folder(request, tmp_path, monkeypatch):
    if request.param == "without links":

        def refuse(*_, **__):
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    return tmp_path


def test_the_next_free_name_is_taken_and_nothing_is_replaced(folder):
    for number in range(3):
        part = folder / ".a.part"
        part.write_text(str(number))
        publish(part, folder / "a.wav")
        part.unlink(missing_ok=True)
    names = ("a.wav", "a-2.wav", "a-3.wav")
    assert [(folder / name).read_text() for name in names] == ["0", "1", "2"]


def test_when_all_names_are_taken_it_says_so(folder, monkeypatch):
    monkeypatch.setattr(publishing, "MAX_COPIES", 2)
    (folder / "a.wav").write_text("old")
    (folder / "part").write_text("new")
    with pytest.raises(FileExistsError, match="empty the folder"):
        publish(folder / "part", folder / "a.wav")
    assert (folder / "a.wav").read_text() == "old"
