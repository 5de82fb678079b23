"""Every mistake is told with its file, its line, its field and what to do."""

import hashlib
import os

import pytest

from presets import Library, PresetError, load_preset, parse_preset
from tests.presets.test_schema import SMALLEST


def problems(text):
    with pytest.raises(PresetError) as caught:
        parse_preset(text, "viola.yaml")
    assert caught.value.code == "bad_preset"
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "start", "cure"),
    [
        ("guidence: 2", "viola.yaml:7: guidence: ", "did you mean guidance?"),
        ("steps: 0", "viola.yaml:7: steps: expected at least 1, got 0", "sampling steps"),
        (
            "guidance: strong",
            "viola.yaml:7: guidance: expected a number without quotes, got 'strong'",
            "lambda",
        ),
        ("guidance: .nan", "viola.yaml:7: guidance: expected a finite number", "lambda"),
        ("guidance: yes", "viola.yaml:7: guidance: expected a number", "lambda"),
        ("task: remix", "viola.yaml:7: task: expected one of", "'timbre'"),
        (
            "audio_prompt: {poling: 2}",
            "viola.yaml:7: audio_prompt.poling: ",
            "did you mean pooling?",
        ),
        ("audio_prompt: loud", "viola.yaml:7: audio_prompt: expected named fields", "'key: value'"),
        (
            "adapters: [{path: a.pt, sha256: x}]",
            "viola.yaml:7: adapters[0].path: ",
            "pickles are never loaded",
        ),
        (
            "adapters: [{path: a.safetensors}]",
            "viola.yaml:7: adapters[0].sha256: this field is missing",
            "add it",
        ),
        ("title: Twice", "viola.yaml:7: title: written twice (also in line 2)", "keep one"),
        (
            "seed: 99999999999",
            "viola.yaml:7: seed: expected at most 2147483647",
            "-1: a new seed each time",
        ),
        ("notes: {a: *b}", "viola.yaml:7: not valid YAML", "indentation"),
        ("  guidance: 2", "viola.yaml:7: not valid YAML", "indentation"),
        ("negative_prompt: &x a\nnotes: *x", "viola.yaml:7: ", "write the value out"),
    ],
)
def test_a_wrong_line_is_named(line, start, cure):
    found = problems(SMALLEST + line + "\n")
    assert any(problem.startswith(start) and cure in problem for problem in found), found


def test_the_line_of_a_field_inside_a_list_is_its_own():
    text = SMALLEST.replace(
        "  - text: a viola\n", "  - text: a viola\n  - text: a cello\n    weight: -1\n"
    )
    assert problems(text)[0].startswith("viola.yaml:7: prompts[1].weight: expected more than 0")


def test_a_missing_field_is_told_at_the_top_of_what_lacks_it():
    assert problems(SMALLEST.replace("licence: CC0-1.0\n", ""))[0].startswith(
        "viola.yaml:1: licence: this field is missing"
    )


def test_every_mistake_of_a_file_is_told_at_once_in_the_order_of_lines():
    found = problems(SMALLEST + "steps: 0\nseed: x\nguidance: 99\n")
    assert [problem.split(":")[1] for problem in found] == ["7", "8", "9"]


@pytest.mark.parametrize(
    "text",
    ["", "just words", "- a\n- b", "\x00", "a: [", "{" * 5000, "!!python/object:os.system {}"],
)
def test_what_is_not_a_style_at_all_is_a_clean_error(text):
    assert problems(text)


def test_lists_within_lists_are_told_as_such():
    assert "brackets" in problems("name: " + "[" * 5000)[0]
    assert "two levels" in problems("- " * 5000)[0]


def test_bytes_that_are_not_utf8_are_a_clean_error():
    assert (
        "UTF-8" in problems(b"name: \xff\xfe\xfa")[0]
        or "YAML" in problems(b"name: \xff\xfe\xfa")[0]
    )


def write(folder, name="viola", extra=""):
    path = folder / f"{name}.yaml"
    path.write_text(SMALLEST + extra, encoding="utf-8")
    return path


def test_the_name_must_be_that_of_the_file(tmp_path):
    with pytest.raises(PresetError, match="violla.yaml:1: name: expected 'violla'"):
        load_preset(write(tmp_path, "violla"))


def test_a_giant_file_is_not_read(tmp_path):
    with pytest.raises(PresetError, match="65536 bytes"):
        load_preset(write(tmp_path, extra="#" * 70_000))


def test_an_adapter_beside_the_file_is_found_and_its_path_made_absolute(tmp_path):
    (tmp_path / "warm.safetensors").write_bytes(b"tensors")
    sha256 = hashlib.sha256(b"tensors").hexdigest()
    preset = load_preset(
        write(tmp_path, extra=f"adapters:\n  - path: warm.safetensors\n    sha256: {sha256}\n")
    )
    assert preset.adapters[0].path == str(tmp_path / "warm.safetensors")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.safetensors", r"viola.yaml:8: adapters\[0\].path: no such file"),
        ("../away.safetensors", r"viola.yaml:8: adapters\[0\].path: expected a path inside"),
        ("/etc/a.safetensors", "expected a path inside"),
        ("C:\\a.safetensors", "expected a path inside"),
        ("changed.safetensors", r"viola.yaml:9: adapters\[0\].sha256: expected 0000.*the file has"),
    ],
)
def test_an_adapter_that_cannot_be_trusted_is_an_error(tmp_path, path, message):
    (tmp_path / "changed.safetensors").write_bytes(b"other")
    with pytest.raises(PresetError, match=message):
        load_preset(
            write(tmp_path, extra=f"adapters:\n  - path: '{path}'\n    sha256: '{'0' * 64}'\n")
        )


@pytest.mark.parametrize("digits", ["0x" + "f" * 4000, "1" + "0" * 5000, "9" + ":59" * 3000])
def test_a_number_of_thousands_of_digits_is_a_clean_error(digits):
    with pytest.raises(PresetError, match=r"<text>:\d+: seed: expected a number of at most 64"):
        parse_preset(f"{SMALLEST}seed: {digits}\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert [problem.file for problem in Library([tmp_path]).report.errors] == ["pipe.yaml"]


def test_a_name_that_no_message_can_carry_is_refused():
    with pytest.raises(PresetError, match="name: expected at most 64"):
        parse_preset(SMALLEST.replace("viola", "v" * 65))
