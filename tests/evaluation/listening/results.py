"""Results of two methods on two pieces: of different loudness, length, rate and channels."""

from pathlib import Path

import numpy as np
import soundfile

METHODS = ("good-method", "other-method")


def write_results(folder: Path, seconds: float = 2.0) -> Path:
    rows = ["name,source,text,output,method"]
    for piece, hz in (("a", 440), ("b", 330)):
        _write(folder / f"{piece}.wav", hz, seconds, 44_100, 0.5)
        _write(folder / f"{piece}_good.wav", hz, seconds, 32_000, 0.05, channels=2)
        _write(folder / f"{piece}_other.wav", hz * 1.5, 0.95 * seconds, 16_000, 0.8)
        for method, output in zip(METHODS, ("good", "other"), strict=True):
            rows.append(f"{piece},{piece}.wav,a flute,{piece}_{output}.wav,{method}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def _write(
    path: Path, hz: float, seconds: float, rate_hz: int, level: float, channels: int = 1
) -> None:
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    samples = level * np.sin(2 * np.pi * hz * time) * (1 - time % 0.5)
    soundfile.write(path, np.tile(samples[:, None], channels), rate_hz)
