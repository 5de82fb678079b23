"""Every example of docs/clients/python.md and of the client's README runs, in order."""

import re
import shutil

import pytest
from retimbre_client import AsyncClient

from server.paths import REPOSITORY

PAGES = (
    REPOSITORY / "docs" / "clients" / "python.md",
    REPOSITORY / "clients" / "python" / "README.md",
)
EXAMPLES = [
    (page.name, at, code)
    for page in PAGES
    for at, code in enumerate(
        re.findall(r"```python\n(.+?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]
# files that an example leaves
STEMS = {("python.md", 0): 1, ("python.md", 1): 3, ("README.md", 0): 1}


@pytest.mark.parametrize(("page", "at", "code"), EXAMPLES)
def test_example_runs(port, audio, tmp_path, monkeypatch, capsys, page, at, code):
    monkeypatch.chdir(tmp_path)
    # ours is not on the usual port
    monkeypatch.setattr(AsyncClient.__init__, "__defaults__", ("127.0.0.1", port))
    shutil.copyfile(audio, "solo.wav")
    exec(compile(code, f"{page} example {at}", "exec"), {})
    stems = [path for path in tmp_path.iterdir() if path.name != "solo.wav"]
    assert len(stems) == STEMS.get((page, at), 0)
    assert all(path.read_bytes() == audio.read_bytes() for path in stems)
    assert not re.search("refused|unknown_|not_ready", capsys.readouterr().out.lower())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
