"""docs/http.md: up to date, and its shell session runs."""

import asyncio
import re
import shutil
import wave
from pathlib import Path

import pytest

from osc_protocol import ADDRESSES, ERROR_CODES
from server.http.reference import page

DOCUMENT = Path(__file__).parents[3] / "docs" / "http.md"


def test_the_page_in_docs_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == page(), (
        "run python -m server.http.reference > docs/http.md"
    )


def test_it_names_every_verb_and_code():
    for name in (*ADDRESSES, *ERROR_CODES):
        assert f"`{name}`" in page()


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is missing"
)
async def test_the_shell_session_runs_as_it_stands(server, audio, tmp_path):
    shutil.copy(audio, tmp_path / "solo.wav")
    script = re.search(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1]
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-eu",
        "-c",
        script.replace(":11022", f":{server.http_port}"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    shown, _ = await process.communicate()
    assert b"/retimbre/ack" in shown and b"event: progress" in shown
    with wave.open(str(tmp_path / "violin.wav")) as stem, wave.open(str(audio)) as source:
        assert stem.getparams() == source.getparams()
