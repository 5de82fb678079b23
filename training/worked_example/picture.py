"""The example's picture: spectrograms, losses, and the LoRA by its weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.worked_example.scenario import SHARES

NAMES = {
    "source": "source unchanged",
    "base": 'nano, "steel drums"',
    "words": "learned words",
    "lora": "LoRA",
    "both": "blend: half LoRA, half words",
    "codec": "true, through the codec",
}
SHOWN = ("source", "base", "words", "lora", "true")


def draw(path: Path, learned: Mapping[str, Any], found: Mapping[str, Any], sounds: Path) -> None:
    """Spectrograms above; losses and the curve of weights below."""
    import soundfile
    from matplotlib.figure import Figure

    from evaluation.metrics.sound import Sound

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    grid = figure.add_gridspec(2, 1)
    above, below = (figure.add_subfigure(grid[row, 0]) for row in range(2))
    for axes, name in zip(above.subplots(1, len(SHOWN)), SHOWN, strict=True):
        samples, rate_hz = soundfile.read(sounds / f"{name}.flac", dtype="float32")
        axes.imshow(
            Sound(samples, rate_hz).log_mel,
            origin="lower",
            aspect="auto",
            vmin=-9,
            vmax=1,
            cmap="magma",
        )
        axes.set(title=NAMES.get(name, "true rendering"), xticks=[], yticks=[])
    losses, curve = below.subplots(1, 2)
    for name in ("lora", "words"):
        steps, values = zip(*learned[name]["looks"], strict=True)
        losses.plot(steps, values, marker="o", label=NAMES[name])
    losses.set(xlabel="step", ylabel="loss, held-back recordings")
    losses.legend()
    weights, distances = zip(*blend_distances(found["gain"]), strict=True)
    curve.plot(weights, distances, marker="o", label="LoRA by its weight")
    for name, style in (("codec", ":"), ("source", "--")):
        curve.axhline(
            np.mean([row["log_mel"] for row in found["gain"][name]]),
            ls=style,
            color="grey",
            label=NAMES[name],
        )
    curve.set(xlabel="weight", ylabel="log-mel to true")
    curve.legend()
    figure.savefig(path, dpi=80)


def blend_distances(gain: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(weight of the LoRA, log-mel distance)."""
    names = {0.0: "base", **{share: f"{share:g}" for share in SHARES}, 1.0: "lora"}
    return [
        (weight, float(np.mean([row["log_mel"] for row in gain[name]])))
        for weight, name in names.items()
    ]
