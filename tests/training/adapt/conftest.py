"""Tiny models of the real classes, and a folder of tunes with captions and splits."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

for module in ("torch", "transformers", "diffusers", "peft"):
    pytest.importorskip(module)

from training.dataset.clips import Clip, write_list

RATE_HZ = 16_000
SPLITS = ("train", "train", "train", "validation", "test")


def tune(seed: int, seconds: float = 2.6) -> np.ndarray:
    """Decaying notes."""
    random = np.random.default_rng(seed)
    notes = []
    for _ in range(int(seconds / 0.26)):
        time = np.arange(int(0.26 * RATE_HZ)) / RATE_HZ
        notes.append(
            0.3
            * np.exp(-5 * time)
            * np.sin(2 * np.pi * random.choice([220, 262, 330, 392, 440]) * time)
        )
    return np.concatenate(notes).astype(np.float32)


def flags_of(settings):
    """Settings as a command line has them."""
    return [
        part
        for name, value in settings.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    clips = []
    for index, split in enumerate(SPLITS):
        path = folder / f"{index}.wav"
        soundfile.write(path, tune(index), RATE_HZ)
        clips.append(Clip(path, f"zzq tune <style> number {index}", split=split))
    write_list(clips, folder)
    return folder


@pytest.fixture(scope="session")
def nano_weights(tmp_path_factory):
    import warnings

    from tests.engine.tiny_nano import write_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return write_weights(tmp_path_factory.mktemp("nano"))


@pytest.fixture(scope="session")
def models(tmp_path_factory, nano_weights):
    """As a user would have them."""
    from tests.engine.families.ace_step import tiny as ace_step
    from tests.engine.families.audioldm2 import tiny as audioldm2
    from tests.engine.families.musicgen import tiny as musicgen
    from tests.engine.families.stable_audio_3 import tiny as stable_audio_3
    from training.adapt.models import nano

    folder = tmp_path_factory.mktemp("models")
    audioldm2.write_models(folder)
    musicgen.write_models(folder)
    ace_step.write_repository(folder / "acestep-v15-xl-base-diffusers")
    stable_audio_3.write_repository(folder / "stable-audio-3-small-music-base")
    with pytest.MonkeyPatch.context() as patch:
        # elsewhere nano's weights are the shipped ones
        patch.setattr(nano, "WEIGHTS", nano_weights)
        yield folder


@pytest.fixture(scope="session")
def short():
    """Settings of a run that takes seconds."""
    return {
        "steps": 4,
        "batch": 2,
        "warmup": 1,
        "learning_rate": 1e-2,
        "evaluate_every": 2,
        "save_every": 2,
        "sample_every": 0,
        "device": "cpu",
        "rank": 4,
    }
