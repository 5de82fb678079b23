"""The studio's fixtures, and Max played by node."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.studio import (  # noqa: F401
    PATIENCE_SECONDS,
    data_dir,
    find_program,
    load_script,
    media,
    server_port,
)

CLIENT = Path(__file__).parents[3] / "clients" / "max"


@pytest.fixture(scope="session")
def build():
    """The script that writes the patches."""
    return load_script(CLIENT / "build.py")


@pytest.fixture
def audio(media):  # noqa: F811
    return str(media / "region.wav")


@pytest.fixture
def play(server_port, tmp_path):  # noqa: F811
    """play(patcher, steps, **scenario): every record that the double of Max printed."""
    node = find_program("node", "nodejs")

    def play(patcher, steps, **scenario):
        path = tmp_path / "scenario.json"
        path.write_text(
            json.dumps(
                {
                    "patcher": patcher,
                    "steps": steps,
                    "folder": str(CLIENT),
                    "port": server_port,
                    "tick": 50,
                    **scenario,
                }
            )
        )
        done = subprocess.run(
            [node, str(Path(__file__).with_name("double.js")), str(path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, done.stderr
        return records

    return play
