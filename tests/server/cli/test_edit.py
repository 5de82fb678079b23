import argparse
from pathlib import Path

import pytest

from osc_protocol import EDIT_KEYS
from server.cli import edit as cli_edit
from server.cli.main import main

KNOBS = [name for name in EDIT_KEYS if name not in cli_edit.NOT_FLAGS]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.wav"
    path.write_bytes(b"RIFF")
    return path


def keys(*words):
    parser = argparse.ArgumentParser()
    cli_edit.add_arguments(parser)
    return cli_edit._keys(parser.parse_args(["in.wav", "a violin", *words]))


def test_nothing_given_is_nothing_sent():
    assert keys() == {}


def test_flags_become_keys_of_the_right_type():
    assert keys("--seed", "7", "--start", "1.5", "--preset", "choir") == {
        "seed": 7,
        "start": 1.5,
        "preset": "choir",
    }


def test_set_reaches_every_key():
    assert keys("--set", "guidance=3", "--set", "negative=hiss = noise") == {
        "guidance": 3.0,
        "negative": "hiss = noise",
    }


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_of_the_protocol_is_a_flag(name):
    parser = argparse.ArgumentParser()
    cli_edit.add_arguments(parser)
    assert f"--{name} " in parser.format_help()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "x"], "seed: expected an integer"),
        (["--steps", "0"], "from 1 to 100"),
        (["--set", "strenth=1"], "did you mean strength?"),
        (["--set", "strength"], "expected KEY=VALUE"),
    ],
)
def test_a_bad_knob_is_refused_before_anything_starts(source, capsys, words, said):
    assert main(["edit", str(source), "a violin", *words]) == 2
    assert said in capsys.readouterr().err


def test_an_existing_file_is_not_written_over(source, capsys):
    target = source.with_name("out.wav")
    target.write_text("precious")
    assert main(["edit", str(source), "a violin", "-o", str(target)]) == 2
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == "precious"


def test_a_missing_input_is_named(tmp_path, capsys):
    assert main(["edit", str(tmp_path / "gone.wav"), "a violin"]) == 2
    assert "gone.wav: no such file" in capsys.readouterr().err


def test_an_ending_that_is_no_audio_format_is_refused(source, capsys):
    assert main(["edit", str(source), "a violin", "-o", "out.mp3"]) == 2
    assert ".flac" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(source, capsys):
    assert main(["edit", str(source), "a violin", "-o", str(source.parent / "no" / "out.wav")]) == 2
    assert "folder does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["timbre"], ["s.wav"]),
        (["timbre", "timbre"], ["s.wav", "s-2.wav"]),
        (["bass", "drums"], ["s-bass.wav", "s-drums.wav"]),
        (
            ["bass", "drums", "bass", "drums"],
            ["s-bass.wav", "s-drums.wav", "s-bass-2.wav", "s-drums-2.wav"],
        ),
    ],
)
def test_several_stems_are_called_by_their_names_and_takes_by_numbers(names, files):
    assert [path.name for path in cli_edit._stem_paths(Path("out/s.wav"), names)] == files
