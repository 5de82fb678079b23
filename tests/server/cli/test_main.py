import subprocess
import sys

import pytest

from server.cli import main as cli

HEAVY = (
    "numpy",
    "onnxruntime",
    "soundfile",
    "torch",
    "yaml",
    "pydantic",
    "rich",
    "matplotlib",
    "asyncio",
)


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "server", *words], capture_output=True, text=True, timeout=60
    )


def test_importing_the_command_line_pulls_nothing_heavy():
    code = (
        f"import sys, server.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        == "[]"
    )


def test_help_of_every_command_pulls_no_numpy():
    for command in cli.COMMANDS:
        code = (
            "import sys\nfrom server.cli.main import main\n"
            f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit:\n"
            "    print([name for name in ('numpy', 'onnxruntime') if name in sys.modules])"
        )
        assert subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True
        ).stdout.endswith("[]\n")


def test_help_names_every_command():
    shown = run("--help")
    assert shown.returncode == 0
    assert all(f"    {command} " in shown.stdout for command in cli.COMMANDS)


def test_no_command_is_wrong_use():
    assert run().returncode == 2


def test_unknown_command_names_the_known_ones():
    shown = run("edti")
    assert shown.returncode == 2
    assert "edit" in shown.stderr


def test_version():
    assert run("--version").stdout.startswith("retimbre ")


def test_a_bad_option_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert cli.main(["status", "--port", "x", "--data-dir", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err
        == "retimbre status: --port: expected a whole number from 0 to 65535, got 'x'\n"
    )


def test_status_without_a_server_says_how_to_start_one(tmp_path, capsys):
    assert cli.main(["status", "--data-dir", str(tmp_path)]) == 1
    assert "retimbre serve" in capsys.readouterr().err


def test_presets_lists_the_shipped_styles(tmp_path, capsys):
    assert cli.main(["presets", "--data-dir", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 10


def test_presets_fails_on_a_broken_file_and_shows_the_others(tmp_path, capsys):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.yaml").write_text("name: mine\n")
    assert cli.main(["presets", "--data-dir", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "mine.yaml" in shown.err
    assert len(shown.out.splitlines()) >= 10


@pytest.mark.parametrize("words", [["eval", "nonsense"], ["eval"]])
def test_eval_names_what_can_be_judged(words):
    shown = run(*words)
    assert shown.returncode == 2
    assert "timbre" in shown.stderr
