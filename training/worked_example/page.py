"""The example's figures as a page with one picture."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "source": "source unchanged",
    "base": 'nano, "steel drums"',
    "words": "learned words",
    "lora": "LoRA",
    "both": "blend: half LoRA, half words",
    "codec": "true, through the codec",
}
KEPT = {"base": "no style", "words": "learned words", "lora": "LoRA"}
PICTURE = "adaptation_example.png"
SHOWN = ("source", "base", "words", "lora", "true")


def write(page: Path, learned: Mapping[str, Any], found: Mapping[str, Any], sounds: Path) -> None:
    """The page, and the picture in `pictures/` beside it."""
    (page.parent / "pictures").mkdir(exist_ok=True)
    _picture(page.parent / "pictures" / PICTURE, learned, found, sounds)
    page.write_text(_text(learned, found), encoding="utf-8")


def _text(learned: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    from training.worked_example.example import (
        FIRST_SCORE,
        HELD_BACK,
        PHRASE,
        PROGRAM,
        RECORDINGS,
        SECONDS,
    )
    from training.worked_example.pairs import HELPERS

    gain, kept, live = found["gain"], found["kept"], found["live"]
    count, others = len(gain["base"]), len(kept["base"])
    (first_lora, first_words), again = found["switch"]["first"], found["switch"]["again"]
    return f"""# Worked example: ten recordings of {PHRASE}, and nano plays them

`nano` was never shown {PHRASE} (General MIDI {PROGRAM + 1}), neither as a target nor as a source. Here it learns
them from {RECORDINGS} recordings of {SECONDS:g} s, on one core without a graphics card. This page and its picture are
written by

```sh
python -m training.worked_example.example --steps {learned["lora"]["steps"]} --clips {count} --others {others}
```

with FluidSynth, the packages `fluid-soundfont-gm` and `timgm6mb-soundfont` and the extras `train` and `export`.

**Data.** A folder of wav files, nothing else (rendered from scores {FIRST_SCORE} onwards of the test seeds, which no
training uses). nano itself plays each of them on {", ".join(HELPERS)}; from these it learns the way back to the
recording. The same stems, asked for by their own words, remind it of what it could do before. {HELD_BACK} of the
{RECORDINGS} are not learned from and choose the step that is kept.

![spectrograms, losses, weights](pictures/{PICTURE})

## What learned

| | numbers | file | steps | CPU seconds | loss on held-back recordings, base -> style |
|---|---|---|---|---|---|
{_learned_rows(learned)}

Pairs by back-translation: {learned["pairs"]["seconds"]:.0f} CPU seconds, once for both.

## Style gain: N = {count} scores that neither nano nor the style has met

Each is played by another instrument (flute, vibraphone, saxophone, ...) and asked for as "{PHRASE}". Log-mel distance
to the true rendering (lower is better; mean ± standard error), chroma to it, and whether the stem is nearer to the
true {PHRASE} than to the same score on any of nano's 37 instruments.

| | log-mel to true | chroma to true | nearest is {PHRASE} | nearest otherwise |
|---|---|---|---|---|
{chr(10).join(_gain_row(label, gain[name]) for name, label in NAMES.items())}

Blended with the base by weight: {_curve(gain)}.

## Retention: N = {others} other prompts while the style is on

Other instruments are asked for, on the unseen soundfont of `retimbre eval`; its judge says whether they are heard.

| | accuracy | log-mel to true |
|---|---|---|
{chr(10).join(_kept_row(label, kept[name]) for name, label in KEPT.items())}

At weight 0 the stem is the base's to the bit: {"yes" if kept["same_at_zero"] else "**no**"}. A preset's own phrase
goes with its style, so these rows show a misuse: in a session, another preset takes the style off.

## Live

A server was running when the two preset folders were copied into its presets folder; `/retimbre/preset/reload` took
{live["reload_ms"]:.0f} ms and found {live["presets"]} presets. Then, job after job (a region of {SECONDS:g} s, seconds
from the manifests; `checking` holds the change of style):

| job | checking | whole job |
|---|---|---|
{chr(10).join(f"| {job['label']} | {1000 * job['checking']:.0f} ms | {job['total']:.2f} s |" for job in live["jobs"])}

The change alone, in the worker: LoRA {first_lora:.0f} ms and words {first_words:.1f} ms for the first time,
{again[0]:.2f}, {again[1]:.2f} and (off again) {again[2]:.2f} ms from then on.

## Do it with your own recordings

`retimbre train run clips --family nano --name steel_drums` does this with any folder of clips
([training](training.md)). LoRA wants `retimbre export nano` once; learned words play on any install. Words are
{learned["words"]["bytes"] / 1024:.0f} kB and touch no weight; LoRA is
{learned["lora"]["bytes"] / 2**20:.1f} MB.

Measured on {platform.machine()}, one thread, with other work on the machine: trust CPU seconds more than times of jobs.
"""


def _learned_rows(learned: Mapping[str, Any]) -> str:
    rows = []
    for name in ("lora", "words"):
        row = learned[name]
        losses = dict(row["looks"])
        rows.append(
            f"| {NAMES[name]} | {row['numbers']:,} | {row['bytes'] / 1024:.0f} kB | {row['steps']} | "
            f"{row['seconds']:.0f} | {losses[0]:.3f} -> {min(losses.values()):.3f} |"
        )
    return "\n".join(rows)


def _gain_row(label: str, rows: Sequence[Mapping[str, Any]]) -> str:
    from training.worked_example.example import PHRASE

    nearest = [row["nearest"] for row in rows]
    wrong = [name for name, _ in Counter(name for name in nearest if name != PHRASE).most_common(3)]
    chroma = np.mean([row["chroma"] for row in rows])
    distance = _mean([row["log_mel"] for row in rows])
    hits = f"{nearest.count(PHRASE)} of {len(rows)}"
    return f"| {label} | {distance} | {chroma:.3f} | {hits} | {', '.join(wrong)} |"


def _kept_row(label: str, rows: Sequence[Mapping[str, Any]]) -> str:
    right = sum(row["right"] for row in rows)
    return f"| {label} | {right} of {len(rows)} | {_mean([row['log_mel'] for row in rows])} |"


def _curve(gain: Mapping[str, Any]) -> str:
    return ", ".join(f"{weight:g}: {distance:.3f}" for weight, distance in _distances(gain))


def _distances(gain: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(weight of the LoRA, log-mel distance)."""
    from training.worked_example.figures import SHARES

    names = {0.0: "base", **{share: f"{share:g}" for share in SHARES}, 1.0: "lora"}
    return [
        (weight, float(np.mean([row["log_mel"] for row in gain[name]])))
        for weight, name in names.items()
    ]


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values) / np.sqrt(len(values)):.3f}"


def _picture(
    path: Path, learned: Mapping[str, Any], found: Mapping[str, Any], sounds: Path
) -> None:
    import soundfile
    from matplotlib.figure import Figure

    from evaluation.metrics.sound import Sound

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    above, below = figure.subfigures(2, 1)
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
    weights, distances = zip(*_distances(found["gain"]), strict=True)
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
