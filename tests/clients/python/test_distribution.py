"""The small distribution: its wheel alone, in a fresh environment, edits on a real server."""

import ast
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import pythonosc

from server.paths import REPOSITORY

EDIT = """
import sys
import retimbre_client, osc_protocol
from retimbre_client import Client

assert all(module.__file__.startswith(sys.prefix) for module in (retimbre_client, osc_protocol))
with Client(port=int(sys.argv[1])) as client:
    print(client.edit(sys.argv[2], "copy", seed=3).stems[0].frames)
print(sorted({"numpy", "pydantic", "onnxruntime", "server"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, because building leaves things beside the sources."""
    folder = tmp_path_factory.mktemp("checkout")
    for source in ("clients/python", "osc_protocol"):
        shutil.copytree(
            REPOSITORY / source, folder / source, ignore=shutil.ignore_patterns("__pycache__")
        )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--wheel-dir",
            str(folder),
            "./clients/python",
        ],
        cwd=folder,
        check=True,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def test_wheel_has_the_client_and_the_protocol_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("METADATA")]
        [licence] = [archive.read(name) for name in names if name.endswith("LICENSE")]
    assert licence == (REPOSITORY / "LICENSE").read_bytes()
    ours = {
        str(path.relative_to(folder))
        for folder in (REPOSITORY, REPOSITORY / "clients" / "python")
        for package in ("osc_protocol", "retimbre_client")
        for pattern in ("*.py", "py.typed")
        for path in folder.glob(f"{package}/**/{pattern}")
    }
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: python-osc>=1.9"
    ]


def test_an_edit_runs_from_a_fresh_environment(wheel, port, audio, tmp_path):
    home = tmp_path / "environment"
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    site = next(path for path in home.rglob("site-packages") if path.is_dir())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    shutil.copytree(Path(pythonosc.__file__).parent, site / "pythonosc")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ran = subprocess.run(
        [python, "-I", "-c", EDIT, str(port), str(audio)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.split("\n")[:2] == ["4800", "[]"], ran.stderr


def test_the_client_imports_the_protocol_and_nothing_else_of_ours():
    allowed = {"osc_protocol", "retimbre_client", "__future__"} | set(sys.stdlib_module_names)
    for path in (REPOSITORY / "clients" / "python" / "retimbre_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in allowed, path
            elif isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
