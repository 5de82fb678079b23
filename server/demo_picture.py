"""Waveform and spectrogram of several files, one above the other on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import soundfile

matplotlib.use("Agg")  # no window, and none needed: this draws into a file
from matplotlib import pyplot  # noqa: E402

WINDOW, HOP = 2048, 512
LOW_HZ, HIGH_HZ, BANDS = 40.0, 12_000.0, 320
FLOOR_DB = -80.0
INCHES_WIDE, INCHES_PER_ROW, DOTS_PER_INCH = 13.0, 2.6, 110


def draw(rows: Sequence[tuple[str, Path]], target: Path) -> Path:
    """Write a PNG with one row for each (title, audio file). Returns `target`."""
    figure, axes = pyplot.subplots(len(rows), 2, figsize=(INCHES_WIDE, INCHES_PER_ROW * len(rows)), squeeze=False,
                                   width_ratios=(1, 1.6), layout="constrained")
    for (title, path), (left, right) in zip(rows, axes, strict=True):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        _draw_row(title, samples.mean(axis=1), rate_hz, left, right)
    axes[-1][0].set_xlabel("seconds")
    axes[-1][1].set_xlabel("seconds")
    figure.savefig(target, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    return target


def _draw_row(title: str, mono: np.ndarray, rate_hz: int, left: pyplot.Axes, right: pyplot.Axes) -> None:
    seconds = len(mono) / rate_hz
    left.plot(np.arange(len(mono)) / rate_hz, mono, linewidth=0.3, color="#1f4e79")
    left.set(title=title, ylim=(-1, 1), xlim=(0, seconds), yticks=(-1, 0, 1))
    right.imshow(spectrogram_db(mono, rate_hz), origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0,
                 extent=(0, seconds, 0, BANDS))
    marks_hz = [mark for mark in (50, 100, 200, 500, 1000, 2000, 5000, 10_000) if LOW_HZ <= mark <= HIGH_HZ]
    right.set_yticks(np.interp(np.log(marks_hz), np.log((LOW_HZ, HIGH_HZ)), (0, BANDS)), map(str, marks_hz))
    right.set_ylabel("Hz")


def spectrogram_db(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """[BANDS, frames], 0 dB at the loudest, on a logarithmic frequency axis from LOW_HZ to HIGH_HZ."""
    padded = np.pad(mono, (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1))
    bands_hz = np.geomspace(LOW_HZ, HIGH_HZ, BANDS)
    bins_hz = np.fft.rfftfreq(WINDOW, 1 / rate_hz)
    on_bands = np.stack([np.interp(bands_hz, bins_hz, frame, right=0.0) for frame in magnitude], axis=1)
    return 20 * np.log10(np.maximum(on_bands / max(on_bands.max(), 1e-9), 10 ** (FLOOR_DB / 20)))
