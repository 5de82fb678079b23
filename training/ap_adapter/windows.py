"""Windows of sounds as pictures: a log-mel for the VAE, a filter bank for AudioMAE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.audio.region import reflect
from engine.families.audioldm2 import features as F
from training.ap_adapter.data import CaptionedSound, DataError

PEAK = 0.5  # of the waveform before the VAE's mel, as AudioLDM2 was trained


@dataclass(frozen=True)
class Batch:
    """Windows: log-mel [B, 1024, 64] for the VAE, filter banks [B, 1024, 128] for AudioMAE."""

    mel: Tensor
    fbank: Tensor
    texts: list[str]


def window_of(path: Path, frames: int, place: float) -> np.ndarray:
    """Mono samples at 16 kHz that fill `frames` mel frames, from `place` (0 to 1) in the file.

    All channels are mixed (the reference takes the first). A file that is too short is mirrored
    (the reference adds zeros, which AudioMAE takes for a loud sound). DataError.
    """
    import soundfile
    import soxr

    wanted = F.fbank_samples(frames)
    try:
        with soundfile.SoundFile(path) as file:
            needed = -(-wanted * file.samplerate // F.SAMPLE_RATE_HZ)
            file.seek(int(place * max(0, file.frames - needed)))
            samples = file.read(needed, dtype="float32", always_2d=True).mean(axis=1)
            rate_hz = file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}; take it out of the folder") from error
    if not len(samples):
        raise DataError(f"{path} holds no sound; take it out of the folder")
    return reflect(soxr.resample(samples, rate_hz, F.SAMPLE_RATE_HZ), 0, wanted)[:wanted]


def pictures_of(samples: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(log-mel [frames, 64], filter bank [frames, 128]) of `window_of`."""
    centred = samples - samples.mean()
    peak = float(np.abs(centred).max())
    mel = F.log_mel(centred[: frames * F.HOP_SAMPLES] * (PEAK / peak if peak > 1e-6 else 1.0))[
        :frames
    ]
    return mel, F.normalise(F.fbank(samples), frames)


def batches(sounds: Sequence[CaptionedSound], size: int, frames: int) -> Iterator[Batch]:
    """Random sounds, a random window of each, without end.

    Draws from torch's generator, whose state a run keeps.
    """
    while True:
        chosen = [sounds[int(index)] for index in torch.randint(len(sounds), (size,))]
        pictures = [
            pictures_of(window_of(sound.path, frames, float(torch.rand(()))), frames)
            for sound in chosen
        ]
        mel, fbank = (torch.from_numpy(np.stack(part)) for part in zip(*pictures, strict=True))
        yield Batch(mel, fbank, [sound.text for sound in chosen])
