"""Recordings of any format."""

import numpy as np
import soundfile
import soxr

from evaluation.corpus.recordings import read_recordings


def test_recordings_are_read_in_order_as_mono_at_the_models_rate(tmp_path, tune):
    stereo = np.stack([soxr.resample(tune.samples, 32_000, 44_100)] * 2, axis=1)
    soundfile.write(tmp_path / "b.wav", stereo, 44_100)
    soundfile.write(tmp_path / "a.flac", tune.samples, 32_000)
    (tmp_path / "README.md").write_text("not audio")
    found = list(read_recordings(tmp_path))
    assert [name for name, _ in found] == ["a", "b"]
    assert all(abs(len(sound.samples) - len(tune.samples)) <= 2 for _, sound in found)
