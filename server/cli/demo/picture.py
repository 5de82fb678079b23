"""Waveform and spectrogram of several files, one above the other on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: that one wants a window system

WINDOW, HOP = 2048, 512
LOW_HZ, HIGH_HZ, BANDS = 40.0, 12_000.0, 320
MARKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)
FLOOR_DB = -80.0
INCHES_WIDE, INCHES_PER_ROW, DOTS_PER_INCH = 13.0, 2.6, 110


def draw(rows: Sequence[tuple[str, Path]], target: Path) -> Path:
    """Write a PNG with one row for each (title, audio file). Returns `target`."""
    sounds = [
        (title, *soundfile.read(path, dtype="float32", always_2d=True)) for title, path in rows
    ]
    peak = (
        max((float(np.abs(samples).max(initial=0)) for _, samples, _ in sounds), default=0) or 1.0
    )
    figure = Figure(figsize=(INCHES_WIDE, INCHES_PER_ROW * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.6))
    for (title, samples, rate_hz), (left, right) in zip(sounds, axes, strict=True):
        mono = samples.mean(axis=1)
        _draw_waveform(left, mono, rate_hz, peak)
        _draw_spectrogram(right, mono, rate_hz)
        left.set_title(title)
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.savefig(target, dpi=DOTS_PER_INCH)
    return target


def _draw_waveform(axes: Axes, mono: np.ndarray, rate_hz: int, peak: float) -> None:
    axes.plot(np.arange(len(mono)) / rate_hz, mono, linewidth=0.3, color="#1f4e79")
    axes.set(ylim=(-1.05 * peak, 1.05 * peak), xlim=(0, len(mono) / rate_hz), ylabel="amplitude")


def _draw_spectrogram(axes: Axes, mono: np.ndarray, rate_hz: int) -> None:
    axes.imshow(
        spectrogram_db(mono, rate_hz),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=FLOOR_DB,
        vmax=0,
        extent=(0, len(mono) / rate_hz, 0, BANDS),
    )
    axes.set_yticks(
        np.interp(np.log(MARKS_HZ), np.log((LOW_HZ, HIGH_HZ)), (0, BANDS)), map(str, MARKS_HZ)
    )
    axes.set_ylabel("Hz")


def spectrogram_db(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """Levels [BANDS, frames], 0 dB at the loudest; bands lie on a logarithmic frequency axis."""
    padded = np.pad(mono, (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1))
    bands_hz = np.geomspace(LOW_HZ, HIGH_HZ, BANDS)
    bins_hz = np.fft.rfftfreq(WINDOW, 1 / rate_hz)
    on_bands = np.stack(
        [np.interp(bands_hz, bins_hz, frame, right=0.0) for frame in magnitude], axis=1
    )
    return 20 * np.log10(np.maximum(on_bands / max(on_bands.max(), 1e-9), 10 ** (FLOOR_DB / 20)))
