"""nano itself under examination, with random weights: shapes and repeatability, no quality."""

import numpy as np
import pytest

from evaluation.methods.models import Nano
from tests.engine.tiny_nano import write_weights

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    return Nano(write_weights(tmp_path_factory.mktemp("weights")))


def test_stem_and_codec_have_the_length_of_what_went_in(nano, tune):
    assert len(nano.edit(tune, "a violin", {"seed": 1}).samples) == len(tune.samples)
    assert len(nano.reconstruct(tune).samples) == len(tune.samples)


def test_the_same_seed_gives_the_same_stem(nano, tune):
    first, second = (nano.edit(tune, "a violin", {"seed": 3, "steps": 2}).samples for _ in range(2))
    assert np.array_equal(first, second)


def test_its_files_are_named_with_their_hashes(nano):
    files = nano.describe()["files"]
    assert "denoiser.onnx" in files and all(len(digest) == 64 for digest in files.values())
