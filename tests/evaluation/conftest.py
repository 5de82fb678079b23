"""Models that change nothing: their figures are known beforehand."""

import json

import numpy as np
import pytest

from evaluation.methods.models import RATE_HZ
from evaluation.metrics.sound import Sound
from tests.evaluation.sounds import write_tone


class Echo:
    """Gives back what it got."""

    def edit(self, sound, text, knobs):
        return sound

    def reconstruct(self, sound):
        return sound

    def describe(self):
        return {"name": "echo", "files": {}}


class Copycat:
    """Gives the region itself back as several stems, under the names that the caller expects."""

    def __init__(self, *names):
        self.names = names

    def arrange(self, sound, text, knobs):
        return dict.fromkeys(self.names, sound)

    def reconstruct(self, sound):
        return sound

    def describe(self):
        return {"name": "copycat", "files": {}}


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def copycat():
    return Copycat


@pytest.fixture
def examine(tmp_path):
    """Runs an examination of arrangements of 4 s: (exit code, report)."""

    def run(module, model, *arguments):
        path = tmp_path / "figures.json"
        code = module.main([*arguments, "--seconds", "4", "--json", str(path)], model=model)
        return code, json.loads(path.read_text())

    return run


@pytest.fixture(scope="session")
def renderer():
    from evaluation.corpus.arrangements import PartRenderer

    try:
        renderer = PartRenderer("timgm")
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


@pytest.fixture(scope="session")
def judge():
    from evaluation.metrics.judge import Judge

    return Judge.load()


@pytest.fixture(scope="session")
def pair_renderer():

    from evaluation.corpus.pairs import PairRenderer

    try:
        renderer = PairRenderer()
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


@pytest.fixture(scope="session")
def tune():
    """Two seconds of a plain melody."""
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    notes = [
        sum(np.sin(2 * np.pi * hz * n * time) / n for n in (1, 2, 3)) * np.exp(-3 * time)
        for hz in (440, 494, 554, 440)
    ]
    return Sound((0.2 * np.concatenate(notes)).astype(np.float32), RATE_HZ)


@pytest.fixture
def listed(tmp_path):
    """Two methods on two sources: `echo` gives the source back, `higher` a semitone up."""
    for name, hz in (("a", 440), ("b", 330)):
        write_tone(tmp_path / f"{name}.wav", hz)
        write_tone(tmp_path / f"{name}_up.wav", hz * 2 ** (1 / 12))
    rows = "".join(
        f"{n}.wav,a flute,{n}.wav,echo,{n}.wav\n{n}.wav,a flute,{n}_up.wav,higher,{n}.wav\n"
        for n in ("a", "b")
    )
    (tmp_path / "pairs.csv").write_text(
        "source,text,output,method,target\n" + rows, encoding="utf-8"
    )
    return tmp_path
