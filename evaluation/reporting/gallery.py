"""How can results be seen and heard? One picture, and one WAV file for each sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.metrics.sound import Sound

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE_N_FFT, PICTURE_HOP = 1024, 256
LOWEST_DB = -80.0


def save_example(folder: Path, name: str, title: str, sounds: Mapping[str, Sound]) -> None:
    """Writes `name`.png with the spectrograms side by side, and a `name`_<sound>.wav for each."""
    import soundfile
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for part, sound in sounds.items():
        soundfile.write(folder / f"{name}_{part}.wav", sound.samples, sound.rate_hz)
    figure = Figure(figsize=(5 * len(sounds), 4), layout="constrained")
    axes = figure.subplots(1, len(sounds), sharey=True, squeeze=False)[0]
    for axis, (part, sound) in zip(axes, sounds.items(), strict=True):
        draw_spectrogram(axis, part, sound)
        axis.set_xlabel("seconds")
    figure.suptitle(title)
    figure.savefig(folder / f"{name}.png", dpi=80)


def draw_spectrogram(axis: Axes, title: str, sound: Sound) -> None:
    """kHz over seconds, down to 80 dB below the loudest place."""
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
