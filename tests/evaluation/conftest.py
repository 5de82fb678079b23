"""A subject that changes nothing: its figures are known beforehand."""

import json

import numpy as np
import pytest

from evaluation.methods.subject import RATE_HZ
from evaluation.metrics.similarity import Sound


class Echo:
    """Gives back what it got."""

    def stem(self, sound, text, knobs):
        return sound

    def codec(self, sound):
        return sound

    def describe(self):
        return {"name": "echo", "files": {}}


class Copycat:
    """A band that plays the region itself again, under the names that the caller expects."""

    def __init__(self, *names):
        self.names = names

    def perform(self, sound, text, knobs):
        return dict.fromkeys(self.names, sound)

    def codec(self, sound):
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

    def run(module, band, *arguments):
        path = tmp_path / "figures.json"
        code = module.main([*arguments, "--seconds", "4", "--json", str(path)], subject=band)
        return code, json.loads(path.read_text())

    return run


@pytest.fixture(scope="session")
def players():
    from evaluation.corpus.arrangements import Players

    try:
        players = Players("timgm")
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    yield players
    players.close()


@pytest.fixture(scope="session")
def judge():
    from evaluation.metrics.judge import Judge

    return Judge.load()


@pytest.fixture(scope="session")
def stage():
    from evaluation.exams.unseen import Stage

    try:
        stage = Stage()
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def tune():
    """Two seconds of a plain melody."""
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    notes = [
        sum(np.sin(2 * np.pi * hz * n * time) / n for n in (1, 2, 3)) * np.exp(-3 * time)
        for hz in (440, 494, 554, 440)
    ]
    return Sound((0.2 * np.concatenate(notes)).astype(np.float32), RATE_HZ)
