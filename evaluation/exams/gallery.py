"""Results to look at and to listen to: one picture and one WAV file a sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.metrics.similarity import Sound

PICTURE_N_FFT, PICTURE_HOP = 1024, 256
LOWEST_DB = -80.0


def hang(folder: Path, name: str, title: str, sounds: Mapping[str, Sound]) -> None:
    """Writes `name`.png with spectrograms side by side (0 to 16 kHz, 80 dB), and
    `name`_<sound>.wav.
    """
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    for part, sound in sounds.items():
        soundfile.write(folder / f"{name}_{part}.wav", sound.samples, sound.rate_hz)
    _picture(folder / f"{name}.png", title, sounds)


def _picture(path: Path, title: str, sounds: Mapping[str, Sound]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(sounds), 4), layout="constrained")
    axes = figure.subplots(1, len(sounds), sharey=True, squeeze=False)[0]
    for axis, (part, sound) in zip(axes, sounds.items(), strict=True):
        draw(axis, part, sound)
        axis.set_xlabel("seconds")
    figure.suptitle(title)
    figure.savefig(path, dpi=80)


def draw(axis, title: str, sound: Sound) -> None:
    """A spectrogram in kHz over seconds, 80 dB below its loudest place."""
    import numpy as np
    from scipy.signal import stft

    hz, seconds, bins = stft(
        sound.samples, sound.rate_hz, nperseg=PICTURE_N_FFT, noverlap=PICTURE_N_FFT - PICTURE_HOP
    )
    level_db = 20 * np.log10(np.abs(bins) + 1e-9)
    axis.pcolormesh(
        seconds,
        hz / 1000,
        level_db - level_db.max(),
        vmin=LOWEST_DB,
        vmax=0,
        cmap="magma",
        rasterized=True,
    )
    axis.set(title=title)
