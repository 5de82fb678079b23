"""Which paths are let through, and with which code the others are refused."""

import os

import pytest

from server.errors import RequestError
from server.files.sandbox import Sandbox, normalise

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX file kinds")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "song").mkdir(parents=True)
    (tmp_path / "root" / "a.wav").write_bytes(b"x" * 10)
    (tmp_path / "root" / "song" / "ä ö.wav").write_bytes(b"x")
    (tmp_path / "secret.wav").write_bytes(b"x")
    return tmp_path / "root"


@pytest.fixture
def sandbox(root):
    return Sandbox([root], max_file_bytes=100)


def code(call, *arguments):
    with pytest.raises(RequestError) as refusal:
        call(*arguments)
    return refusal.value.code


@pytest.mark.parametrize(
    "name", ["a.wav", "./a.wav", "song/../a.wav", "song/ä ö.wav", "song//ä ö.wav"]
)
def test_names_under_a_root_are_found(sandbox, root, name):
    assert sandbox.audio_file(name).path == os.path.realpath(root / name)
    assert sandbox.audio_file(str(root / name)).path == os.path.realpath(root / name)


def test_file_urls_and_escapes_are_understood(sandbox, root):
    assert sandbox.audio_file((root / "song" / "ä ö.wav").as_uri()).identity.size_bytes == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "no_file"),
        ("  ", "no_file"),
        ("nothing.wav", "no_file"),
        ("../secret.wav", "path_denied"),
        ("song/../../secret.wav", "path_denied"),
        ("/etc/passwd", "path_denied"),
        ("a.wav\0.txt", "path_denied"),
        ("file:///a%00.wav", "path_denied"),
        ("file://elsewhere/a.wav", "path_denied"),
        ("//host/share/a.wav", "path_denied"),
        ("\\\\host\\share\\a.wav", "path_denied"),
        ("\\\\.\\PhysicalDrive0", "path_denied"),
        ("song", "path_denied"),
        (".", "path_denied"),
        ("x" * 5000, "path_denied"),
    ],
)
def test_everything_else_is_refused(sandbox, name, expected):
    assert code(sandbox.audio_file, name) == expected


def test_a_folder_whose_name_begins_like_a_root_is_outside(sandbox, root):
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "a.wav").write_bytes(b"x")
    assert code(sandbox.audio_file, str(root.parent / "root2" / "a.wav")) == "path_denied"


@posix_only
def test_links_are_refused_wherever_they_point(sandbox, root):
    (root / "in.wav").symlink_to(root / "a.wav")
    (root / "out.wav").symlink_to(root.parent / "secret.wav")
    (root / "loop.wav").symlink_to(root / "loop.wav")
    (root / "up").symlink_to(root.parent)
    for name in ("in.wav", "out.wav", "loop.wav", "up/secret.wav"):
        assert code(sandbox.audio_file, name) == "path_denied"


@posix_only
def test_a_root_may_itself_be_reached_through_a_link(root):
    (root.parent / "link").symlink_to(root)
    assert (
        Sandbox([root.parent / "link"], 100)
        .audio_file(str(root.parent / "link" / "a.wav"))
        .identity.size_bytes
        == 10
    )


@posix_only
def test_pipes_and_devices_are_refused_without_being_opened(sandbox, root):
    os.mkfifo(root / "pipe.wav")
    assert code(sandbox.audio_file, "pipe.wav") == "path_denied"
    assert code(Sandbox(["/dev"], 100).audio_file, "/dev/zero") == "path_denied"


def test_large_files_are_refused(sandbox, root):
    (root / "big.wav").write_bytes(b"x" * 101)
    assert code(sandbox.audio_file, "big.wav") == "too_large"


def test_folders_for_stems_must_exist_under_a_root(sandbox, root):
    assert sandbox.folder("song") == (root / "song").resolve()
    assert sandbox.folder(str(root)) == root.resolve()
    assert code(sandbox.folder, str(root.parent)) == "path_denied"
    assert code(sandbox.folder, "not there") == "no_file"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Macintosh HD:/Users/me/a.wav", "/Users/me/a.wav"),
        ("Samples:/drums/a.wav", "/Volumes/Samples/drums/a.wav"),
        ("/tmp/a.wav", "/tmp/a.wav"),
    ],
)
def test_paths_as_max_writes_them_on_a_mac(text, expected):
    assert normalise(text, windows=False) == expected


def test_windows_paths_on_other_systems_are_refused_as_such():
    assert code(normalise, "C:/Users/me/a.wav", False) == "no_file"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C:/Users/me/a.wav", "C:\\Users\\me\\a.wav"),
        ("c:\\Users\\me\\a.wav", "c:\\Users\\me\\a.wav"),
        ("file:///C:/Users/me/a%20b.wav", "C:\\Users\\me\\a b.wav"),
    ],
)
def test_windows_paths_on_windows(text, expected):
    assert normalise(text, windows=True) == expected


@pytest.mark.parametrize("text", ["C:/a.wav:stream", "con", "C:/x/NUL.wav", "com1.wav"])
def test_devices_and_streams_on_windows_are_refused(text):
    assert code(normalise, text, True) == "path_denied"
