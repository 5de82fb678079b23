"""Sounds whose answers are known."""

import numpy as np
import soundfile

from evaluation.metrics.sound import Sound

RATE_HZ = 32_000
FILE_RATE_HZ = 22_050
MELODY = (60, 64, 67, 65, 62, 69)


def make_tune(pitches=MELODY, seconds=0.4, delay_seconds=0.0, harmonics=6, transpose=0.0) -> Sound:
    """Plucked notes, one after the other."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    notes = []
    for pitch in pitches:
        hz = 440 * 2 ** ((pitch + transpose - 69) / 12)
        partials = [
            np.sin(2 * np.pi * hz * n * time) / n
            for n in range(1, harmonics + 1)
            if hz * n < RATE_HZ / 2
        ]
        notes.append(sum(partials) * np.exp(-3 * time) * np.minimum(1, time / 0.005))
    samples = np.concatenate([np.zeros(int((0.1 + delay_seconds) * RATE_HZ)), *notes])
    return Sound((0.2 * samples).astype(np.float32), RATE_HZ)


def make_chords(*roots, minor=False) -> Sound:
    """Triads, one after the other."""
    third = 3 if minor else 4
    parts = [
        sum(make_tune((root + step,), harmonics=4).samples for step in (0, third, 7))
        for root in roots
    ]
    return Sound(np.concatenate(parts), RATE_HZ)


def write_tone(path, hz, seconds=2.0):
    time = np.arange(int(seconds * FILE_RATE_HZ)) / FILE_RATE_HZ
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * time) * (1 - time % 0.5), FILE_RATE_HZ)
    return path


C_MAJOR = make_chords(60, 65, 67, 60)
