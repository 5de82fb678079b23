"""A subject that changes nothing: its figures are known beforehand."""

import numpy as np
import pytest

from evaluation.metrics import Sound
from evaluation.subject import RATE_HZ


class Echo:
    """Gives back what it got."""

    def stem(self, sound, text, knobs):
        return sound

    def codec(self, sound):
        return sound

    def describe(self):
        return {"name": "echo", "files": {}}


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture(scope="session")
def judge():
    from evaluation.judge import Judge

    return Judge.load()


@pytest.fixture(scope="session")
def stage():
    from evaluation.unseen import Stage

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
        sum(np.sin(2 * np.pi * hz * n * time) / n for n in (1, 2, 3)) * np.exp(-3 * time) for hz in (440, 494, 554, 440)
    ]
    return Sound((0.2 * np.concatenate(notes)).astype(np.float32), RATE_HZ)
